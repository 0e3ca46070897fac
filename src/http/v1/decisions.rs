//! `GET /api/v1/decisions/{execution}`: why an execution was held, and why it was let go.

use actix_web::web;
use evenkeel_actors::server::queue::{QueueSnapshot, WaitingExecution};
use evenkeel_core::{
    journal::{Executed, Released},
    units::{ids::ExecutionId, lengths::Lengths, span::Span, tick::Tick},
};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{
    executions::{OutcomeName, read},
    statements::{Answer, Statement, Text, texts},
};
use crate::http::{
    Views,
    fields::{NoParameters, Query},
    problem::Problem,
};

/// Whether it waits, runs in a real database, or has run.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum State {
    Waiting,
    Running,
    Executed,
}

/// What was decided about one execution, and why.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Explanation {
    execution: Uuid,
    query: Uuid,
    state: State,
    /// All of it in words.
    sentence: String,
    /// When it arrived.
    queued_tick: u64,
    /// When it would run if nobody levelled.
    due_tick: u64,
    /// When it runs as things stand; null once it has run, and while it is held for a plan.
    planned_tick: Option<u64>,
    /// When it ran; null before.
    tick: Option<u64>,
    /// Ticks from its arrival to its run, or until now; 1 is none added.
    delay_ticks: u64,
    /// Ticks beyond its base due tick.
    held_ticks: u64,
    /// Ticks that `/delay` added.
    added_ticks: u64,
    /// As it stands in the journal or the plan; empty when it was not delayed.
    reason: String,
    /// How it ended; null before.
    outcome: Option<OutcomeName>,
    /// What it asks; null where that is not kept, as of a simulated database.
    text: Option<Text>,
    /// Whose statement it is; null of a simulated database.
    statement: Option<Statement>,
    /// What the database answered; null where that is not known.
    answer: Option<Answer>,
}

/// How it came to its base due tick.
fn arrival(queued: Tick, due: Tick, lengths: Lengths) -> (u64, String) {
    let added = due.since(queued).saturating_sub(lengths.default_delay_ticks);
    let asked = match added {
        0 => String::new(),
        added => format!(", {} of it because POST /delay asked for that", Span::of(added, lengths.tick_ms)),
    };
    (added, format!("Queued at tick {queued} and due at tick {due}{asked}"))
}

fn because(reason: &str) -> String {
    let reason = reason.trim_end_matches('.');
    if reason.is_empty() { ".".to_owned() } else { format!(": {reason}.") }
}

fn executed(executed: &Executed, lengths: Lengths) -> Explanation {
    let ended = Explanation {
        state: State::Executed,
        outcome: Some(executed.outcome.into()),
        answer: executed.answer.as_deref().map(Answer::from),
        ..released(&Released::of(executed), lengths)
    };
    let answered = answered(executed);
    Explanation { sentence: format!("{}{answered}", ended.sentence), ..ended }
}

/// How a statement of a real database ended, in words.
fn answered(executed: &Executed) -> String {
    let Some(answer) = executed.answer.as_deref() else { return String::new() };
    let code = answer.sqlstate.as_ref().map_or(String::new(), |code| format!(" with {code}"));
    let note = answer.note.as_ref().map_or(String::new(), |note| format!(", {note}"));
    let took = answer.duration_us as f64 / 1e3;
    format!(" It ended {}{code} after {took:.3} ms{note}.", executed.outcome.name())
}

/// What was let go, whether it has ended or not.
fn released(released: &Released, lengths: Lengths) -> Explanation {
    let Released { queued_tick, due_tick, tick, reason, .. } = released;
    let (added_ticks, arrived) = arrival(*queued_tick, *due_tick, lengths);
    let held_ticks = tick.since(*due_tick);
    let because = because(reason);
    let sentence = if queued_tick == due_tick && due_tick == tick {
        format!("It came at tick {tick} and was sent at once{because}")
    } else if tick < due_tick {
        format!("{arrived}; released before that, at tick {tick}{because}")
    } else if held_ticks == 0 {
        format!("{arrived}; it ran then, nothing held it{because}")
    } else {
        let held = Span::of(held_ticks, lengths.tick_ms);
        format!("{arrived}; held {held} more, and released at tick {tick}{because}")
    };
    Explanation {
        execution: released.execution.0,
        query: released.query.0,
        state: State::Running,
        sentence,
        queued_tick: queued_tick.0,
        due_tick: due_tick.0,
        planned_tick: None,
        tick: Some(tick.0),
        delay_ticks: tick.since(*queued_tick),
        held_ticks,
        added_ticks,
        reason: reason.clone(),
        outcome: None,
        text: None,
        statement: released.statement.as_deref().map(Statement::from),
        answer: None,
    }
}

pub(super) fn running(row: &Released, lengths: Lengths) -> Explanation {
    let row = released(row, lengths);
    Explanation { sentence: format!("{} It has no outcome yet.", row.sentence), ..row }
}

fn waiting(waiting: &WaitingExecution, queue: &QueueSnapshot, lengths: Lengths) -> Explanation {
    let WaitingExecution { queued_tick, due_tick, planned_tick, reason, .. } = waiting;
    let (added_ticks, arrived) = arrival(*queued_tick, *due_tick, lengths);
    // The deadline is no plan.
    let planned = (!waiting.held).then_some(*planned_tick);
    let held_ticks = planned.unwrap_or(queue.tick).since(*due_tick);
    let reason = reason.as_deref().unwrap_or_default();
    let ahead = Span::of(planned_tick.since(queue.tick), lengths.tick_ms);
    let sentence = match (queue.levelled, waiting.reason.is_some()) {
        _ if waiting.held => {
            format!("{arrived}; it is held for a plan, which gives it a slot, at most for another {ahead}.")
        }
        _ if held_ticks == 0 => {
            format!("{arrived}; nothing holds it: it runs at tick {planned_tick}, in {ahead}.")
        }
        (true, _) => format!(
            "{arrived}; held {} more, to run at tick {planned_tick}, in {ahead}{}",
            Span::of(held_ticks, lengths.tick_ms),
            because(reason)
        ),
        (false, _) => format!(
            "{arrived}; overdue and nobody levels: it drains, oldest first, in {ahead} at the earliest."
        ),
    };
    Explanation {
        execution: waiting.execution.0,
        query: waiting.query.0,
        state: State::Waiting,
        sentence,
        queued_tick: queued_tick.0,
        due_tick: due_tick.0,
        planned_tick: planned.map(|tick| tick.0),
        tick: None,
        delay_ticks: queue.tick.since(*queued_tick),
        held_ticks,
        added_ticks,
        reason: reason.to_owned(),
        outcome: None,
        text: None,
        statement: waiting.statement.as_deref().map(Statement::from),
        answer: None,
    }
}

fn queued(queue: &QueueSnapshot, id: ExecutionId, lengths: Lengths) -> Option<Explanation> {
    if let Ok(at) = queue.running.binary_search_by_key(&id, |running| running.execution) {
        return Some(running(&queue.running[at], lengths));
    }
    let at = queue.waiting.binary_search_by_key(&id, |waiting| waiting.execution).ok()?;
    Some(waiting(&queue.waiting[at], queue, lengths))
}

/// Why an execution was held, and why it was let go.
#[utoipa::path(get, path = "/api/v1/decisions/{execution}", tag = "executions",
    params(("execution" = Uuid, Path, description = "the execution's id")),
    responses((status = 200, body = Explanation), (status = 404, body = Problem, content_type = "application/problem+json")))]
pub(super) async fn explain(
    views: web::Data<Views>,
    id: web::Path<Uuid>,
    _: Query<NoParameters>,
) -> Result<web::Json<Explanation>, Problem> {
    let id = ExecutionId(*id);
    let lengths = views.about.lengths;
    let queue = views.queue.borrow().clone();
    let found = match queue.and_then(|queue| queued(&queue, id, lengths)) {
        Some(found) => Some(found),
        None => read(&views, move |history| history.find(id)).await?.map(|found| executed(&found, lengths)),
    };
    let found = found.ok_or_else(|| {
        Problem::not_found(format!(
            "execution {id} is neither queued nor among those that the journal still keeps"
        ))
    })?;
    Ok(web::Json(with_text(&views, found).await?))
}

/// The same, with what it asks.
async fn with_text(views: &Views, explanation: Explanation) -> Result<Explanation, Problem> {
    if explanation.statement.is_none() {
        return Ok(explanation);
    }
    let query = explanation.query;
    let mut found = read(views, move |history| texts(history, std::iter::once(query))).await?;
    Ok(Explanation { text: found.remove(&query), ..explanation })
}

#[cfg(test)]
mod tests {
    use evenkeel_core::{journal::Outcome, units::ids::QueryId};

    use super::*;

    #[test]
    fn a_sentence_holds_the_numbers() {
        let mut ran = Executed {
            execution: ExecutionId::new(1, 1),
            query: QueryId(Uuid::nil()),
            queued_tick: Tick(100),
            due_tick: Tick(101),
            tick: Tick(113),
            finished_tick: Tick(113),
            reason: "tick 113 lacked 47 cpu".to_owned(),
            outcome: Outcome::Ok,
            executed_at_ms: 0,
            tenant: None,
            trace: None,
            statement: None,
            answer: None,
        };
        assert_eq!(
            executed(&ran, Lengths::default()).sentence,
            "Queued at tick 100 and due at tick 101; held 1.2 s (12 ticks) more, and released at tick 113: tick 113 \
             lacked 47 cpu."
        );
        (ran.tick, ran.reason) = (Tick(101), String::new());
        assert_eq!(
            executed(&ran, Lengths::default()).sentence,
            "Queued at tick 100 and due at tick 101; it ran then, nothing held it."
        );
        (ran.due_tick, ran.tick) = (Tick(106), Tick(106));
        let delayed = executed(&ran, Lengths::default());
        assert_eq!((delayed.added_ticks, delayed.held_ticks), (5, 0));
        assert!(
            delayed.sentence.contains("0.5 s (5 ticks) of it because POST /delay"),
            "{}",
            delayed.sentence
        );
    }
}

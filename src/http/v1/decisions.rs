//! `GET /api/v1/decisions/{execution}`: why an execution was held, and why it was let go.

use actix_web::web;
use evenkeel_actors::server::queue::{QueueSnapshot, WaitingExecution};
use evenkeel_core::{
    journal::Executed,
    units::{ids::ExecutionId, lengths::Lengths, span::Span, tick::Tick},
};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::executions::read;
use crate::http::{
    Views,
    fields::{NoParameters, Query},
    problem::Problem,
};

/// Whether it has run.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum State {
    Waiting,
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
    let Executed { queued_tick, due_tick, tick, reason, .. } = executed;
    let (added_ticks, arrived) = arrival(*queued_tick, *due_tick, lengths);
    let held_ticks = tick.since(*due_tick);
    let sentence = if held_ticks == 0 {
        format!("{arrived}; it ran then, nothing held it{}", because(reason))
    } else {
        format!(
            "{arrived}; held {} more, and released at tick {tick}{}",
            Span::of(held_ticks, lengths.tick_ms),
            because(reason)
        )
    };
    Explanation {
        execution: executed.execution.0,
        query: executed.query.0,
        state: State::Executed,
        sentence,
        queued_tick: queued_tick.0,
        due_tick: due_tick.0,
        planned_tick: None,
        tick: Some(tick.0),
        delay_ticks: executed.delay_ticks(),
        held_ticks,
        added_ticks,
        reason: reason.clone(),
    }
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
    }
}

fn queued(queue: &QueueSnapshot, id: ExecutionId, lengths: Lengths) -> Option<Explanation> {
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
    if let Some(found) = queue.and_then(|queue| queued(&queue, id, lengths)) {
        return Ok(web::Json(found));
    }
    let found = read(&views, move |history| history.find(id)).await?;
    found.map(|found| web::Json(executed(&found, lengths))).ok_or_else(|| {
        Problem::not_found(format!(
            "execution {id} is neither queued nor among those that the journal still keeps"
        ))
    })
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

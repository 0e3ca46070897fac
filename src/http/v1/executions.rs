//! `GET /api/v1/executions`: what ran, page by page, from the history.

use std::sync::Arc;

use actix_web::web;
use evenkeel_actors::ports::history::{History, ReadError};
use evenkeel_core::journal::{Entry, EntryId, Executed, Outcome, Record, Stream};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::statements::{Answer, Statement, Text, say_texts};
use crate::http::{
    Views,
    fields::{Field, Kind, Parameters, Query},
    problem::Problem,
};

/// Most executions of one page.
const LIMIT_MAX: u64 = 1_000;
/// Most entries that are looked through for one page: half a second of reading.
const LOOKED_AT_MAX: usize = 50_000;
/// Entries read at a time.
const CHUNK: usize = 1_000;

/// Which page.
#[derive(Clone, Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct Page {
    /// Executions before this entry id, newest first unless `after` is given, too. The default: the newest.
    #[param(pattern = r"^\d{1,18}-\d{1,18}$", example = "1800000000000-0")]
    before: Option<String>,
    /// Executions after this entry id, oldest first; `0-0` begins at the first.
    #[param(pattern = r"^\d{1,18}-\d{1,18}$", example = "0-0")]
    after: Option<String>,
    /// Executions on a page.
    #[param(minimum = 1, maximum = 1000, default = 100)]
    #[serde(default = "hundred")]
    limit: usize,
    /// Of this query only.
    query: Option<Uuid>,
    /// Of this session of a real database only.
    session: Option<Uuid>,
    /// Of this explicit transaction of `session` only.
    #[param(minimum = 0, maximum = 2_147_483_647)]
    transaction: Option<u64>,
}

impl Parameters for Page {
    const FIELDS: &'static [Field] = &[
        Field::optional("before", Kind::EntryId),
        Field::optional("after", Kind::EntryId),
        Field::optional("limit", Kind::Integer { min: 1, max: LIMIT_MAX }),
        Field::optional("query", Kind::Uuid),
        Field::optional("session", Kind::Uuid),
        Field::optional("transaction", Kind::Integer { min: 0, max: 2_147_483_647 }),
    ];
}

fn hundred() -> usize {
    100
}

/// A page.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Executions {
    executions: Vec<Execution>,
    /// Cursor of the next page in the same direction; null at the end.
    next: Option<String>,
}

/// How an execution ended.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum OutcomeName {
    Ok,
    Failed,
    Unknown,
}

impl From<Outcome> for OutcomeName {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Ok => Self::Ok,
            Outcome::Failed => Self::Failed,
            Outcome::Unknown => Self::Unknown,
        }
    }
}

/// An executed query, as it stands in the journal.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Execution {
    /// Entry id: the cursor, and what `redis-cli XRANGE` shows.
    id: String,
    /// Counts executions from 1 without gaps.
    seq: u64,
    execution: Uuid,
    query: Uuid,
    queued_tick: u64,
    /// When it would have run if nobody levelled.
    due_tick: u64,
    /// When it ran.
    tick: u64,
    finished_tick: u64,
    /// `tick` − `queued_tick`; 1 is none added.
    delay_ticks: u64,
    /// Why it ran when it did; empty when it was not delayed.
    reason: String,
    outcome: OutcomeName,
    executed_at_ms: u64,
    /// What it asked; null where that is not kept, as of a simulated database.
    text: Option<Text>,
    /// Whose statement it was; null of a simulated database.
    statement: Option<Statement>,
    /// What the database answered; null where that is not known.
    answer: Option<Answer>,
}

impl Execution {
    fn new(entry: &Entry, executed: &Executed) -> Self {
        Self {
            id: entry.id.to_string(),
            seq: entry.seq,
            execution: executed.execution.0,
            query: executed.query.0,
            queued_tick: executed.queued_tick.0,
            due_tick: executed.due_tick.0,
            tick: executed.tick.0,
            finished_tick: executed.finished_tick.0,
            delay_ticks: executed.delay_ticks(),
            reason: executed.reason.clone(),
            outcome: executed.outcome.into(),
            executed_at_ms: executed.executed_at_ms,
            text: None,
            statement: executed.statement.as_deref().map(Statement::from),
            answer: executed.answer.as_deref().map(Answer::from),
        }
    }
}

#[derive(Clone, Copy)]
enum Cursor {
    Before(EntryId),
    After(EntryId),
}

/// Later than every entry.
const END: EntryId = EntryId { ms: u64::MAX, n: u64::MAX };

impl Page {
    /// Whether one of its own is asked for.
    fn chooses(&self) -> bool {
        self.query.is_some() || self.session.is_some()
    }

    fn takes(&self, executed: &Executed) -> bool {
        let statement = executed.statement.as_deref();
        let of = |session| statement.is_some_and(|statement| statement.session == session);
        let within = |number| statement.is_some_and(|statement| statement.transaction == Some(number));
        self.query.is_none_or(|query| query == executed.query.0)
            && self.session.is_none_or(of)
            && self.transaction.is_none_or(within)
    }

    /// Where to begin and in which direction, and before which entry to end.
    fn cursor(&self) -> Result<(Cursor, EntryId), Problem> {
        let parsed =
            |id: &Option<String>| id.as_deref().map(str::parse).transpose().map_err(Problem::bad_request);
        let (before, after): (Option<EntryId>, Option<EntryId>) =
            (parsed(&self.before)?, parsed(&self.after)?);
        if self.transaction.is_some() && self.session.is_none() {
            return Err(Problem::bad_request(
                "`transaction` counts within a session: expected `session` beside it",
            ));
        }
        if let (Some(before), Some(after)) = (before, after)
            && before <= after
        {
            return Err(Problem::bad_request(format!(
                "after `after` {after} and before `before` {before} there is nothing: expected a later `before`"
            )));
        }
        Ok(match after {
            Some(after) => (Cursor::After(after), before.unwrap_or(END)),
            None => (Cursor::Before(before.unwrap_or(END)), END),
        })
    }
}

/// What ran, page by page: newest first, or from a cursor on. The outbox keeps 24 hours in one process, and what
/// Redis has not taken, or took within ten minutes, in two; `redis-cli XRANGE` shows the rest.
#[utoipa::path(get, path = "/api/v1/executions", tag = "executions", params(Page),
    responses((status = 200, body = Executions), (status = 400, body = Problem, content_type = "application/problem+json")))]
pub(super) async fn executions(
    views: web::Data<Views>,
    Query(page): Query<Page>,
) -> Result<web::Json<Executions>, Problem> {
    let cursor = page.cursor()?;
    let read = read(&views, move |history| with_texts(history, cursor, &page));
    Ok(web::Json(read.await?))
}

/// Reads the history on a thread that may block.
pub(super) async fn read<T: Send + 'static>(
    views: &Views,
    read: impl FnOnce(&mut dyn History) -> Result<T, ReadError> + Send + 'static,
) -> Result<T, Problem> {
    let open = Arc::clone(&views.history);
    let read = web::block(move || read(&mut *open()?)).await;
    match read {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(cause)) => {
            tracing::warn!(%cause, "the journal cannot be read");
            Err(Problem::unavailable("the journal cannot be read now; the log says why"))
        }
        Err(_no_thread) => Err(Problem::unavailable("too much is being read at once: try again in a moment")),
    }
}

fn with_texts(
    history: &mut dyn History,
    cursor: (Cursor, EntryId),
    page: &Page,
) -> Result<Executions, ReadError> {
    let mut found = fetch(history, cursor, page)?;
    if found.executions.iter().any(|execution| execution.statement.is_some()) {
        say_texts(history, &mut found.executions, |execution| (execution.query, &mut execution.text))?;
    }
    Ok(found)
}

fn fetch(
    history: &mut dyn History,
    (mut cursor, end): (Cursor, EntryId),
    page: &Page,
) -> Result<Executions, ReadError> {
    let mut found = Vec::new();
    let mut looked_at = 0;
    let chunk = if page.chooses() { CHUNK } else { page.limit };
    loop {
        let read = match cursor {
            Cursor::After(id) => history.after(Stream::Executions, id, chunk)?,
            Cursor::Before(id) => history.before(Stream::Executions, id, chunk)?,
        };
        let ended = read.len() < chunk || read.last_id().is_some_and(|last| last >= end);
        looked_at += read.len();
        let furthest = match cursor {
            Cursor::After(_) => read.last_id().map(Cursor::After),
            Cursor::Before(_) => read.first_id().map(Cursor::Before),
        };
        let mut entries = read.entries;
        if matches!(cursor, Cursor::Before(_)) {
            entries.reverse();
        }
        entries.retain(|entry| entry.id < end);
        for entry in &entries {
            cursor = match cursor {
                Cursor::After(_) => Cursor::After(entry.id),
                Cursor::Before(_) => Cursor::Before(entry.id),
            };
            if let Record::Executed(executed) = &entry.record
                && page.takes(executed)
            {
                found.push(Execution::new(entry, executed));
            }
            if found.len() == page.limit {
                break;
            }
        }
        let full = found.len() == page.limit;
        // Past what cannot be decoded, too.
        cursor = furthest.filter(|_| !full).unwrap_or(cursor);
        if full || ended || looked_at >= LOOKED_AT_MAX {
            let (Cursor::After(id) | Cursor::Before(id)) = cursor;
            let next = (full || !ended).then(|| id.to_string());
            return Ok(Executions { executions: found, next });
        }
    }
}

//! Statements of a real database: whose they were, what was answered, and their texts.

use std::collections::{BTreeMap, BTreeSet};

use evenkeel_actors::ports::history::{History, ReadError};
use evenkeel_core::{
    journal::{self, QueryText},
    units::ids::QueryId,
};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

/// Texts that are looked for one by one; of more, all are read.
const ONE_BY_ONE_MAX: usize = 200;

/// Whose statement it was, and on which session.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Statement {
    /// The class that rules put it into.
    class: String,
    user: String,
    database: String,
    /// The application's name, as the session said it.
    application: String,
    /// The client's address.
    client: String,
    session: Uuid,
    /// The number of its explicit transaction within the session; null outside of one.
    transaction: Option<u64>,
    /// The backend's process id.
    pid: i32,
    /// When the backend started, Unix µs; null where that is not known.
    backend_start: Option<i64>,
    /// What a comment `truth='…'` in its text says; null without one.
    tag: Option<String>,
}

impl From<&journal::Statement> for Statement {
    fn from(statement: &journal::Statement) -> Self {
        let journal::Statement { class, user, database, application, client, tag, .. } = statement.clone();
        let journal::Statement { session, transaction, pid, backend_start, .. } = *statement;
        Self { class, user, database, application, client, session, transaction, pid, backend_start, tag }
    }
}

/// What the database answered, and what that took.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Answer {
    /// The error's code; null without an error.
    sqlstate: Option<String>,
    /// Rows that were returned or changed; null where the answer does not say.
    rows: Option<u64>,
    /// From sending to the end of the answer, µs.
    duration_us: u64,
    /// CPU time of the backend, µs; null where that is not known.
    cpu_us: Option<u64>,
    /// What else is to be known, like `not reached`; null without.
    note: Option<String>,
}

impl From<&journal::Answer> for Answer {
    fn from(answer: &journal::Answer) -> Self {
        let journal::Answer { sqlstate, rows, duration_us, cpu_us, note } = answer.clone();
        Self { sqlstate, rows, duration_us, cpu_us, note }
    }
}

/// What a query asks, without its literals.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Text {
    /// Normalised; `$1` stands for a literal.
    text: String,
    /// Which database of the server.
    database: String,
    /// `select`, `insert`, `begin`, …
    kind: String,
}

impl From<QueryText> for Text {
    fn from(QueryText { text, database, kind, .. }: QueryText) -> Self {
        Self { text, database, kind }
    }
}

/// The texts of these queries, as far as they have one.
pub(super) fn texts(
    history: &mut dyn History,
    queries: impl Iterator<Item = Uuid>,
) -> Result<BTreeMap<Uuid, Text>, ReadError> {
    let queries: BTreeSet<_> = queries.collect();
    let mut found = Vec::new();
    if queries.len() > ONE_BY_ONE_MAX {
        found = history.texts()?;
        found.retain(|text| queries.contains(&text.query.0));
    } else {
        for query in queries {
            found.extend(history.text(QueryId(query))?);
        }
    }
    Ok(found.into_iter().map(|text| (text.query.0, text.into())).collect())
}

/// Says of each of `told` what its query asks; `of` says which query that is, and where its text belongs.
pub(super) fn say_texts<T>(
    history: &mut dyn History,
    told: &mut [T],
    of: fn(&mut T) -> (Uuid, &mut Option<Text>),
) -> Result<(), ReadError> {
    let texts = texts(history, told.iter_mut().map(|one| of(one).0))?;
    for one in told {
        let (query, text) = of(one);
        *text = texts.get(&query).cloned();
    }
    Ok(())
}

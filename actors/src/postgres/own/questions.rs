//! The questions themselves. All of them read.

use std::{collections::BTreeSet, sync::Arc};

use tokio_postgres::Row;

use super::{Own, OwnError};

/// Names of `pg_catalog` all of whose functions are not volatile, and which no other schema has.
const FUNCTIONS: &str = "SELECT p.proname::text FROM pg_proc p GROUP BY p.proname \
     HAVING bool_and(p.pronamespace = 'pg_catalog'::regnamespace AND p.provolatile <> 'v')";

/// The backend of a pid, if there is one: with its start where that may be seen.
const RUNNING: &str =
    "SELECT (extract(epoch FROM backend_start) * 1000000)::int8 FROM pg_stat_activity WHERE pid = $1";

const ADVISORY: &str =
    "SELECT DISTINCT pid FROM pg_locks WHERE locktype = 'advisory' AND granted AND pid = ANY($1)";

const SEES_ALL: &str = "SELECT pg_has_role(current_user, 'pg_read_all_stats', 'usage')";

/// `to_jsonb`, because `leader_pid` is there from version 13 on.
const ACTIVITY: &str = "SELECT pid, usename::text, datname::text, application_name, state, wait_event_type, wait_event, \
     (extract(epoch FROM backend_start) * 1000000)::int8, (extract(epoch FROM query_start) * 1000000)::int8, \
     (to_jsonb(a) ->> 'leader_pid')::int4 \
     FROM pg_stat_activity a WHERE pid <> pg_backend_pid() AND (datid IS NOT NULL OR backend_type = 'walsender')";

/// Whether a backend is still there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Running {
    /// No backend has that pid and that start.
    Gone,
    /// A backend has that pid and that start.
    Same,
    /// A backend has that pid; its start is not to be seen (that needs `pg_monitor`), or was not known.
    PidAlone,
}

/// A backend as `pg_stat_activity` has it, without the text of its query, which has literals.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Activity {
    /// Of the backend.
    pub pid: i32,
    /// Who is logged in.
    pub user: Option<String>,
    /// Where.
    pub database: Option<String>,
    /// `application_name`.
    pub application: Option<String>,
    /// `active`, `idle`, `idle in transaction` and others; none where it may not be seen.
    pub state: Option<String>,
    /// What it waits for: the kind and the name.
    pub waits_for: Option<(String, String)>,
    /// When it began, in Unix microseconds.
    pub backend_start: Option<i64>,
    /// When its last query began, in Unix microseconds.
    pub query_start: Option<i64>,
    /// Whose parallel worker it is.
    pub leader: Option<i32>,
}

impl From<&Row> for Activity {
    fn from(row: &Row) -> Self {
        let text = |at: usize| row.get::<_, Option<String>>(at);
        Self {
            pid: row.get(0),
            user: text(1),
            database: text(2),
            application: text(3),
            state: text(4),
            waits_for: text(5).zip(text(6)),
            backend_start: row.get(7),
            query_start: row.get(8),
            leader: row.get(9),
        }
    }
}

impl Own {
    /// Names for [`crate::postgres::sql::PgQuery::functions`], of the database that the own connection is to. Other
    /// databases may have functions of their own under these names.
    ///
    /// # Errors
    /// [`OwnError`].
    pub async fn functions(&self) -> Result<Arc<BTreeSet<String>>, OwnError> {
        let rows = self.ask(async |client| client.query(FUNCTIONS, &[]).await).await?;
        Ok(Arc::new(rows.iter().map(|row| row.get(0)).collect()))
    }

    /// Whether the backend `pid` that began at `backend_start` (Unix microseconds) is there.
    ///
    /// # Errors
    /// [`OwnError`].
    pub async fn running(&self, pid: i32, backend_start: Option<i64>) -> Result<Running, OwnError> {
        let row = self.ask(async |client| client.query_opt(RUNNING, &[&pid]).await).await?;
        let seen = row.map(|row| row.get::<_, Option<i64>>(0));
        Ok(match (seen, backend_start) {
            (None, _) => Running::Gone,
            (Some(Some(seen)), Some(known)) if seen != known => Running::Gone,
            (Some(Some(_)), Some(_)) => Running::Same,
            (Some(_), _) => Running::PidAlone,
        })
    }

    /// Whether the backends of others are seen whole: needs `pg_monitor`, or `pg_read_all_stats`.
    ///
    /// # Errors
    /// [`OwnError`].
    pub async fn sees_all(&self) -> Result<bool, OwnError> {
        self.ask(async |client| client.query_one(SEES_ALL, &[]).await).await.map(|row| row.get(0))
    }

    /// Which of `pids` hold an advisory lock.
    ///
    /// # Errors
    /// [`OwnError`].
    pub async fn holds_advisory_lock(&self, pids: &[i32]) -> Result<BTreeSet<i32>, OwnError> {
        if pids.is_empty() {
            return Ok(BTreeSet::new());
        }
        let rows = self.ask(async |client| client.query(ADVISORY, &[&pids]).await).await?;
        Ok(rows.iter().map(|row| row.get(0)).collect())
    }

    /// What the configured query says is the verifier of `user`; none of a user that it does not know or that has none.
    ///
    /// # Errors
    /// [`OwnError`].
    pub async fn verifier(&self, user: &str) -> Result<Option<String>, OwnError> {
        let query = self.auth_query.as_deref().ok_or(OwnError::NoAuthQuery)?;
        let row = self.ask(async |client| client.query_opt(query, &[&user]).await).await?;
        row.map(|row| row.try_get::<_, Option<String>>(0))
            .transpose()
            .map(Option::flatten)
            .map_err(OwnError::from)
    }

    /// All backends of clients, but for the own one.
    ///
    /// # Errors
    /// [`OwnError`].
    pub async fn activity(&self) -> Result<Vec<Activity>, OwnError> {
        let rows = self.ask(async |client| client.query(ACTIVITY, &[]).await).await?;
        Ok(rows.iter().map(Activity::from).collect())
    }
}

//! What a session asks the server on its own connection, unseen by the client.

use crate::postgres::{frames::Fields, replies::put_query};

/// Names with their schema, so that nobody's functions or operators stand in for the database's.
const GREETING: &str = "SELECT pg_catalog.pg_backend_pid(), \
    (SELECT (EXTRACT(epoch FROM backend_start) OPERATOR(pg_catalog.*) 1000000)::bigint \
     FROM pg_catalog.pg_stat_get_activity(pg_catalog.pg_backend_pid()))";
const BEFORE_A_HOLD: &str = "SELECT \
    (EXTRACT(epoch FROM pg_catalog.current_setting('statement_timeout')::interval) \
     OPERATOR(pg_catalog.*) 1000)::bigint, \
    (EXTRACT(epoch FROM pg_catalog.current_setting('idle_session_timeout', true)::interval) \
     OPERATOR(pg_catalog.*) 1000)::bigint, \
    (SELECT pg_catalog.count(*) FROM pg_catalog.pg_locks WHERE locktype OPERATOR(pg_catalog.=) 'advisory' \
     AND pid OPERATOR(pg_catalog.=) pg_catalog.pg_backend_pid())";

/// An answer that is being read: one row of numbers.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Own {
    pub(super) row: Option<Vec<Option<i64>>>,
}

/// What a session is told of itself at its beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionFacts {
    /// The backend.
    pub pid: i64,
    /// When it began, Unix µs.
    pub backend_start: Option<i64>,
}

/// What binds a hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct HoldFacts {
    statement_timeout_ms: u64,
    idle_session_timeout_ms: u64,
    advisory_locks: bool,
}

impl Own {
    pub(super) fn greet(to_server: &mut Vec<u8>) -> Self {
        put_query(to_server, GREETING);
        Self::default()
    }

    pub(super) fn before_a_hold(to_server: &mut Vec<u8>) -> Self {
        put_query(to_server, BEFORE_A_HOLD);
        Self::default()
    }

    /// A `DataRow`.
    pub(super) fn row(&mut self, body: &[u8]) {
        let mut fields = Fields(body);
        let columns = fields.u16().unwrap_or_default();
        let mut column = || {
            let length = fields.i32()?;
            let bytes = fields.bytes(usize::try_from(length).ok()?)?;
            str::from_utf8(bytes).ok()?.parse().ok()
        };
        self.row = Some((0..columns.min(8)).map(|_| column()).collect());
    }

    pub(super) fn session(&self) -> Option<SessionFacts> {
        let [Some(pid), backend_start] = *self.row.as_deref()? else { return None };
        Some(SessionFacts { pid, backend_start })
    }

    pub(super) fn hold(&self) -> Option<HoldFacts> {
        let [Some(statement), idle, Some(locks)] = *self.row.as_deref()? else { return None };
        let ms = |ms: i64| u64::try_from(ms).unwrap_or_default();
        Some(HoldFacts {
            statement_timeout_ms: ms(statement),
            idle_session_timeout_ms: ms(idle.unwrap_or_default()),
            advisory_locks: locks > 0,
        })
    }
}

impl HoldFacts {
    /// How long a statement may be held, in ms; not at all where the session would notice. The class allows `most_ms`,
    /// a statement's time half of itself, and a session's idle time all but its last second.
    pub(super) fn hold_ms(self, most_ms: u64) -> Option<u64> {
        let of = |timeout: u64, part: u64| if timeout == 0 { u64::MAX } else { part };
        let statement = of(self.statement_timeout_ms, self.statement_timeout_ms / 2);
        let idle = of(self.idle_session_timeout_ms, self.idle_session_timeout_ms.saturating_sub(1_000));
        let ms = most_ms.min(statement).min(idle);
        (!self.advisory_locks && ms > 0).then_some(ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(values: &[Option<&str>]) -> Own {
        let mut body = (values.len() as u16).to_be_bytes().to_vec();
        for value in values {
            let length = value.map_or(-1, |text| i32::try_from(text.len()).expect("short"));
            body.extend_from_slice(&length.to_be_bytes());
            body.extend_from_slice(value.unwrap_or_default().as_bytes());
        }
        let mut own = Own::default();
        own.row(&body);
        own
    }

    #[test]
    fn a_hold_ends_before_anybody_notices() {
        let ms = |row: Own| row.hold().and_then(|facts| facts.hold_ms(60_000));
        assert_eq!(ms(row(&[Some("0"), Some("0"), Some("0")])), Some(60_000));
        assert_eq!(ms(row(&[Some("4000"), Some("0"), Some("0")])), Some(2_000));
        assert_eq!(ms(row(&[Some("4000"), Some("2500"), Some("0")])), Some(1_500));
        assert_eq!(ms(row(&[Some("0"), Some("900"), Some("0")])), None);
        assert_eq!(ms(row(&[Some("0"), None, Some("0")])), Some(60_000), "before PostgreSQL 14");
        assert_eq!(ms(row(&[Some("0"), Some("0"), Some("1")])), None, "an advisory lock");
        assert_eq!(ms(Own::default()), None, "no answer");
        let facts = row(&[Some("7"), Some("1800000000000000")]).session();
        assert_eq!(facts, Some(SessionFacts { pid: 7, backend_start: Some(1_800_000_000_000_000) }));
    }
}

//! What a real database is asked: whose statement it was, and what the database answered.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::units::ids::QueryId;

/// Texts that a journal keeps; those of later queries are not kept.
pub const TEXTS_MAX: usize = 100_000;
/// Longest text that a journal keeps, in bytes; of a longer one its beginning.
pub const TEXT_BYTES_MAX: usize = 64 * 1024;

/// Whose statement an execution runs, and on which session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statement {
    /// The class that rules put it into.
    pub class: String,
    /// Who is logged in.
    pub user: String,
    /// To which of the server's databases.
    pub database: String,
    /// The application's name, as the session last said it.
    pub application: String,
    /// The client's address.
    pub client: String,
    /// The session.
    pub session: Uuid,
    /// The number of its explicit transaction within the session, where it is in one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transaction: Option<u64>,
    /// The backend's process id.
    pub pid: i32,
    /// When the backend started, Unix µs, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backend_start: Option<i64>,
    /// What a comment `truth='…'` in its text says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
}

/// What the database answered to a statement, and what that took.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// The error's code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sqlstate: Option<String>,
    /// Rows that were returned or changed, where the answer counts them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
    /// From sending to the end of the answer, µs.
    pub duration_us: u64,
    /// CPU time of the backend, µs, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_us: Option<u64>,
    /// What a person should know: `not reached`, `ended by ROLLBACK`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// What a query asks, without its literals.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueryText {
    /// Which query.
    pub query: QueryId,
    /// Its normalised text.
    pub text: String,
    /// Of which of the server's databases.
    pub database: String,
    /// What kind of statement it is: `select`, `insert`, `begin`, …
    pub kind: String,
}

impl QueryText {
    /// The same with at most as much text as a journal keeps; what is cut off is told by an ellipsis.
    #[must_use]
    pub fn kept(mut self) -> Self {
        if self.text.len() > TEXT_BYTES_MAX {
            let ellipsis = '…';
            self.text.truncate(self.text.floor_char_boundary(TEXT_BYTES_MAX - ellipsis.len_utf8()));
            self.text.push(ellipsis);
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_long_text_the_beginning_is_kept_and_whole_characters() {
        let query = QueryId(Uuid::nil());
        let text =
            |text: String| QueryText { query, text, database: "d".to_owned(), kind: "select".to_owned() };
        let short = text("é".repeat(TEXT_BYTES_MAX / 2));
        assert_eq!(short.clone().kept(), short);
        let long = text("é".repeat(TEXT_BYTES_MAX)).kept().text;
        assert!(long.len() <= TEXT_BYTES_MAX && long.len() > TEXT_BYTES_MAX - 4, "{}", long.len());
        assert!(long.starts_with('é') && long.ends_with('…'));
    }
}

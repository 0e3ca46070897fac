//! What evenkeel itself says to a client, and asks of a server.

use super::frames::{put, put_text};

/// `SQLSTATE`s of evenkeel's own errors (PostgreSQL's manual, appendix A).
pub mod code {
    /// `query_canceled`.
    pub const CANCELED: &str = "57014";
    /// `admin_shutdown`.
    pub const SHUTDOWN: &str = "57P01";
    /// `cannot_connect_now`.
    pub const NOT_NOW: &str = "57P03";
    /// `connection_failure`.
    pub const CONNECTION: &str = "08006";
    /// `protocol_violation`.
    pub const PROTOCOL: &str = "08P01";
    /// `disk_full`.
    pub const FULL: &str = "53100";
    /// `too_many_connections`.
    pub const TOO_MANY: &str = "53300";
    /// `invalid_authorization_specification`.
    pub const NOT_ALLOWED: &str = "28000";
    /// `invalid_password`.
    pub const PASSWORD: &str = "28P01";
}

/// An error, as a client is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// See [`code`].
    pub code: &'static str,
    /// One sentence, lower case, as PostgreSQL's own.
    pub message: String,
    /// What would be right.
    pub hint: Option<String>,
}

impl Refusal {
    /// An error without a hint.
    pub fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), hint: None }
    }

    /// The same with one.
    #[must_use]
    pub fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// As an `ErrorResponse`; a fatal one ends the session.
    pub fn put(&self, out: &mut Vec<u8>, fatal: bool) {
        let severity = if fatal { "FATAL" } else { "ERROR" };
        put(out, b'E', |body| {
            let hint = self.hint.as_deref().map(|hint| (b'H', hint));
            let fields = [(b'S', severity), (b'V', severity), (b'C', self.code), (b'M', &self.message)];
            for (field, text) in fields.into_iter().chain(hint) {
                body.push(field);
                put_text(body, text);
            }
            body.push(0);
        });
    }
}

/// `ReadyForQuery`, outside a transaction.
pub fn put_ready(out: &mut Vec<u8>) {
    put(out, b'Z', |body| body.push(b'I'));
}

/// A simple `Query`.
pub fn put_query(out: &mut Vec<u8>, text: &str) {
    put(out, b'Q', |body| put_text(body, text));
}

/// `Sync`.
pub fn put_sync(out: &mut Vec<u8>) {
    put(out, b'S', |_| {});
}

/// A `NoticeResponse`.
pub fn put_notice(out: &mut Vec<u8>, message: &str) {
    put(out, b'N', |body| {
        for (field, text) in [(b'S', "NOTICE"), (b'V', "NOTICE"), (b'C', "00000"), (b'M', message)] {
            body.push(field);
            put_text(body, text);
        }
        body.push(0);
    });
}

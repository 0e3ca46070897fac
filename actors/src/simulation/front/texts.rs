//! The statements that scripts send and the modelled database understands.

use std::fmt;

/// A statement's tag, which no other one has.
pub(super) type Key = u64;

/// What a statement does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Does {
    /// It changes something, with its transaction.
    Writes,
    /// It reads alone.
    Reads,
    /// It acts at once and for good, whatever becomes of its transaction, as a sequence does.
    Outside,
    /// It commits on its way, where it may.
    Calls,
    Begins,
    Commits,
    RollsBack,
}

impl Does {
    fn of(statement: &str) -> Self {
        match statement.split([' ', '(']).next().unwrap_or_default() {
            "begin" | "start" => Self::Begins,
            "commit" | "end" => Self::Commits,
            "rollback" | "abort" => Self::RollsBack,
            "call" => Self::Calls,
            "select" if statement.contains("outside()") => Self::Outside,
            "select" if statement.contains("writes()") => Self::Writes,
            "select" => Self::Reads,
            _ => Self::Writes,
        }
    }

    /// Whether it leaves something behind.
    pub(super) fn acts(self) -> bool {
        matches!(self, Self::Writes | Self::Outside | Self::Calls)
    }

    /// The command as the database says it.
    pub(super) fn command(self) -> &'static str {
        match self {
            Self::Writes => "INSERT 0 1",
            Self::Reads | Self::Outside => "SELECT 1",
            Self::Calls => "CALL",
            Self::Begins => "BEGIN",
            Self::Commits => "COMMIT",
            Self::RollsBack => "ROLLBACK",
        }
    }
}

/// What the statements of a text do, and their tags.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Text(pub(super) Vec<(Does, Option<Key>)>);

impl Text {
    pub(super) fn of(text: &str) -> Self {
        let statements = text.split(';').map(str::trim).filter(|statement| !statement.is_empty());
        Self(statements.map(|statement| (Does::of(statement), tag(statement))).collect())
    }
}

fn tag(statement: &str) -> Option<Key> {
    statement.split_once("truth='")?.1.split_once('\'')?.0.parse().ok()
}

/// A message: its type, and all of its bytes.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Message(pub(super) Vec<u8>);

impl Message {
    pub(super) fn kind(&self) -> u8 {
        self.0[0]
    }

    /// Whether a client is told it only when the database has said it, in that order. That is not so of a Close that
    /// reaches the database beside a batch that was given up, and of evenkeel's own errors.
    pub(super) fn is_of_the_database(&self) -> bool {
        match self.kind() {
            b'E' => self.0.ends_with(b"of the model\0\0"),
            kind => b"CDZ12TnstI".contains(&kind),
        }
    }

    pub(super) fn body(&self) -> &[u8] {
        &self.0[5..]
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let body = String::from_utf8_lossy(self.body());
        write!(f, "{} {}", char::from(self.kind()), body.chars().take(80).collect::<String>().escape_debug())
    }
}

/// Takes the first whole message out of `bytes`.
pub(super) fn take_message(bytes: &mut Vec<u8>) -> Option<Message> {
    let head = evenkeel_core::postgres::frames::head(bytes).expect("a length that messages have")?;
    (bytes.len() >= head.total_bytes).then(|| Message(bytes.drain(..head.total_bytes).collect()))
}

/// Takes the packet with which a connection begins.
pub(super) fn take_packet(bytes: &mut Vec<u8>) -> Option<Vec<u8>> {
    let length = u32::from_be_bytes(*bytes.first_chunk()?) as usize;
    (bytes.len() >= length).then(|| bytes.drain(..length).collect())
}

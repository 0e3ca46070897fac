//! Names of the keys of one database.

use std::fmt;

use evenkeel_core::journal::Stream;

/// The keys of one database: `evenkeel:{main}:…`. The braces keep them in one slot of a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keys {
    base: String,
}

/// A prefix or a name that cannot be part of a key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` cannot be a {what}: 1 to 64 letters, digits, `-`, `_`, `.`")]
pub struct NameError {
    what: &'static str,
    text: String,
}

impl Keys {
    /// The keys of the database `name`.
    ///
    /// # Errors
    /// [`NameError`].
    pub fn new(prefix: &str, name: &str) -> Result<Self, NameError> {
        for (what, text) in [("prefix", prefix), ("name", name)] {
            let fits = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
            if text.is_empty() || text.len() > 64 || !text.chars().all(fits) {
                return Err(NameError { what, text: text.to_owned() });
            }
        }
        Ok(Self { base: format!("{prefix}:{{{name}}}") })
    }

    /// A stream of the journal.
    pub fn stream(&self, stream: Stream) -> String {
        format!("{}:{}", self.base, stream.name())
    }

    /// All three streams, in the order of [`Stream::ALL`].
    pub(super) fn streams(&self) -> [String; 3] {
        Stream::ALL.map(|stream| self.stream(stream))
    }

    /// Which stream has this key.
    pub(super) fn stream_of(&self, key: &str) -> Option<Stream> {
        Stream::ALL.into_iter().find(|stream| self.stream(*stream) == key)
    }

    /// Whose streams these are, and how far they tell.
    pub fn meta(&self) -> String {
        format!("{}:meta", self.base)
    }

    /// Texts of queries.
    pub fn texts(&self) -> String {
        format!("{}:texts", self.base)
    }

    /// The client's state.
    pub fn snapshot(&self) -> String {
        format!("{}:snapshot:scheduler", self.base)
    }

    /// The generation before it.
    pub fn previous_snapshot(&self) -> String {
        format!("{}:snapshot:scheduler:previous", self.base)
    }

    /// Who levels.
    pub fn lease(&self) -> String {
        format!("{}:lease", self.base)
    }

    /// How the client is, and what it has applied.
    pub fn client(&self) -> String {
        format!("{}:client", self.base)
    }

    /// What it has learned, for people.
    pub fn estimates(&self) -> String {
        format!("{}:estimates", self.base)
    }

    /// Entries that could not be applied.
    pub fn dead(&self) -> String {
        format!("{}:dead", self.base)
    }
}

impl fmt::Display for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:*", self.base)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_as_the_contract_names_them() {
        let keys = Keys::new("evenkeel", "main").unwrap();
        assert_eq!(keys.stream(Stream::Executions), "evenkeel:{main}:executions");
        assert_eq!(keys.previous_snapshot(), "evenkeel:{main}:snapshot:scheduler:previous");
        assert_eq!(keys.stream_of("evenkeel:{main}:queue"), Some(Stream::Queue));
        assert_eq!(keys.stream_of("evenkeel:{other}:queue"), None);
    }

    #[test]
    fn what_would_break_a_key_or_its_slot_is_refused() {
        for name in ["", "a b", "a{b", "a}b", "ä", "a*"] {
            assert!(Keys::new("evenkeel", name).is_err(), "{name:?}");
        }
    }
}

//! A connection with deadlines, and errors sorted by what one can do about them.

use std::time::Duration;

use evenkeel_core::journal::NewerFormat;
#[cfg(feature = "mutants")]
use evenkeel_core::mutant::{self, Mutant};
use redis::{Cmd, ErrorKind, Pipeline, RedisError, Script, Value};
use tokio::time::Instant;

use super::{keys::Keys, target::Target, wire::Wire};
use crate::{ports::history::ReadError, supervise::fault};

/// Longest that an answer may take, blocking reads aside: an fsync on a busy disk, a batch of some MB.
const ANSWER_MAX: Duration = Duration::from_secs(2);

/// Why Redis did not do it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RedisFault {
    /// It is away, starting, or out of memory or disk: the same may succeed later. Whether a write that
    /// was under way took effect is unknown.
    #[error("Redis does not answer: {0}")]
    Away(String),
    /// It answers as a replica: connect anew, to the one that is the master by then.
    #[error("Redis is not the master: {0}")]
    NotMaster(String),
    /// A stream or its group is not there.
    #[error("a stream or its group is gone from Redis: {0}")]
    Gone(String),
    /// It needs somebody's help: password, rights, a key of another type.
    #[error("Redis refuses: {0}")]
    Refused(String),
    /// Only a later evenkeel can go on with what is there.
    #[error(transparent)]
    Newer(#[from] NewerFormat),
    /// An answer that nobody should get.
    #[error("Redis answered what was not expected: {0}")]
    Unexpected(String),
}

impl From<RedisError> for RedisFault {
    fn from(error: RedisError) -> Self {
        let text = error.to_string();
        // Nobody answers in its place: a certificate is mended by somebody, or another authority trusted.
        if text.contains("certificate") {
            // The second when an authority that is trusted only has the same name.
            let foreign = text.contains("UnknownIssuer") || text.contains("BadSignature");
            let remedy = if foreign {
                ": none of the trusted authorities signed it, --redis-ca FILE names others"
            } else {
                ""
            };
            return Self::Refused(format!("{text}{remedy}"));
        }
        if error.is_io_error() || error.is_timeout() || error.is_connection_dropped() {
            return Self::Away(text);
        }
        if error.kind() == ErrorKind::AuthenticationFailed {
            return Self::Refused(text);
        }
        // A transaction that was refused while it was queued has its cause in the text.
        let codes = [error.code().unwrap_or_default(), &text].join(" ");
        let says = |words: &[&str]| words.iter().any(|word| codes.contains(word));
        if says(&["NOGROUP", "no such key"]) {
            Self::Gone(text)
        } else if says(&["NOPERM", "NOAUTH", "WRONGPASS", "WRONGTYPE"]) {
            Self::Refused(text)
        } else if says(&["OOM", "MISCONF", "LOADING", "BUSY ", "TRYAGAIN", "CLUSTERDOWN", "NOREPLICAS"]) {
            Self::Away(text)
        } else if says(&["READONLY", "MASTERDOWN"]) {
            Self::NotMaster(text)
        } else {
            Self::Unexpected(text)
        }
    }
}

/// What a command was refused with, if it was.
pub(super) fn refused(answer: Value) -> Option<RedisFault> {
    match answer {
        Value::ServerError(error) => Some(RedisError::from(error).into()),
        _ => None,
    }
}

/// A connection, dropped after any error that leaves its state open.
pub struct Link {
    wire: Box<dyn Wire>,
}

impl Link {
    /// Connects, for calls that answer at once.
    ///
    /// # Errors
    /// [`RedisFault`].
    pub fn open(target: &Target) -> Result<Self, RedisFault> {
        Self::open_for(target, Duration::ZERO)
    }

    /// Connects, for calls that may block for `block`.
    pub(super) fn open_for(target: &Target, block: Duration) -> Result<Self, RedisFault> {
        Ok(Self { wire: target.connector.connect(ANSWER_MAX + block, ANSWER_MAX)? })
    }

    /// Whether this user may read what a client needs first.
    ///
    /// # Errors
    /// [`RedisFault`].
    pub fn may_read(&mut self, keys: &Keys) -> Result<(), RedisFault> {
        self.call(redis::cmd("HMGET").arg(keys.meta()).arg("journal")).map(drop)
    }

    pub(super) fn call(&mut self, command: &Cmd) -> Result<Value, RedisFault> {
        Ok(command.query(&mut *self.wire)?)
    }

    /// The answers of a pipeline's commands, errors among them. The first answer that does not come ends it: the
    /// deadline is for all of them.
    pub(super) fn pipe(&mut self, pipeline: &Pipeline) -> Result<Vec<Value>, RedisFault> {
        self.wire.send(&pipeline.get_packed_pipeline())?;
        self.answers(pipeline.len())
    }

    /// As [`Link::pipe`], in one transaction; none when a watched key has changed.
    ///
    /// # Errors
    /// Also when it was refused as a whole: then the cause is that of its first command that was refused.
    pub(super) fn transaction(&mut self, pipeline: &mut Pipeline) -> Result<Option<Vec<Value>>, RedisFault> {
        self.transaction_during(pipeline, || {})
    }

    /// As [`Link::transaction`], with `work` done while Redis does its own.
    pub(super) fn transaction_during(
        &mut self,
        pipeline: &mut Pipeline,
        work: impl FnOnce(),
    ) -> Result<Option<Vec<Value>>, RedisFault> {
        #[cfg(feature = "mutants")]
        if mutant::is(Mutant::PlainPipeline) {
            let answers = self.pipe(pipeline)?;
            return answers.iter().cloned().find_map(refused).map_or(Ok(Some(answers)), Err);
        }
        let commands = pipeline.len();
        self.wire.send(&pipeline.atomic().get_packed_pipeline())?;
        fault::point!("after-ship-sent");
        work();
        // MULTI and the commands are answered at once, EXEC with what they gave.
        let mut answers = self.answers(commands + 2)?;
        let executed = answers.pop().unwrap_or_default();
        if let Some(fault) = answers.into_iter().find_map(refused) {
            return Err(fault);
        }
        match executed {
            Value::Nil => Ok(None),
            Value::Array(answers) => Ok(Some(answers)),
            other => {
                let unexpected = RedisFault::Unexpected(format!("{other:?} to EXEC"));
                Err(refused(other).unwrap_or(unexpected))
            }
        }
    }

    fn answers(&mut self, count: usize) -> Result<Vec<Value>, RedisFault> {
        let begun = Instant::now();
        let mut answers = Vec::with_capacity(count);
        for _ in 0..count {
            if begun.elapsed() > ANSWER_MAX {
                return Err(RedisFault::Away(format!("{} of {count} answers in time", answers.len())));
            }
            answers.push(self.wire.receive()?);
        }
        Ok(answers)
    }

    pub(super) fn script(
        &mut self,
        script: &Script,
        keys: &[String],
        arguments: &[&[u8]],
    ) -> Result<Value, RedisFault> {
        let mut invocation = script.prepare_invoke();
        for key in keys {
            invocation.key(key);
        }
        for argument in arguments {
            invocation.arg(*argument);
        }
        Ok(invocation.invoke(&mut *self.wire)?)
    }
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Link")
    }
}

impl From<RedisFault> for ReadError {
    fn from(fault: RedisFault) -> Self {
        Self::Away(fault.to_string())
    }
}

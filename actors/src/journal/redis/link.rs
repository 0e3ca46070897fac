//! A connection with deadlines, and errors sorted by what one can do about them.

use std::{str::FromStr, sync::Arc, time::Duration};

use evenkeel_core::mutant::{self, Mutant};
use redis::{Client, Cmd, ErrorKind, IntoConnectionInfo as _, Pipeline, RedisError, Script, Value};

use tokio::time::Instant;

use super::{
    keys::Keys,
    wire::{Connector, Wire},
};
use crate::fault;

/// Longest that an answer may take, blocking reads aside: an fsync on a busy disk, a batch of some MB.
const ANSWER_MAX: Duration = Duration::from_secs(2);

/// Where a Redis is, and as whom to speak to it: `redis://user:password@host:port/db`.
#[derive(Clone)]
pub struct Target {
    connector: Arc<dyn Connector>,
    /// Without the password.
    shown: String,
}

/// A text that names no Redis.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{shown}` names no Redis: expected redis://[user:password@]host[:port][/db] ({reason})")]
pub struct TargetError {
    shown: String,
    reason: String,
}

impl FromStr for Target {
    type Err = TargetError;

    fn from_str(url: &str) -> Result<Self, TargetError> {
        Self::new(url, None)
    }
}

impl Target {
    /// The Redis at `url`, with `password` in place of the one that the url holds or does not.
    ///
    /// # Errors
    /// [`TargetError`]; it shows no password.
    pub fn new(url: &str, password: Option<&str>) -> Result<Self, TargetError> {
        let shown = without_password(url);
        let opened = url.into_connection_info().and_then(|info| {
            // The library's name for `CLIENT LIST`: a right that nobody needs.
            let mut settings = info.redis_settings().clone().set_skip_set_lib_name();
            if let Some(password) = password {
                settings = settings.set_password(password);
            }
            Client::open(info.set_redis_settings(settings))
        });
        match opened {
            Ok(client) => Ok(Self { connector: Arc::new(client), shown }),
            Err(error) => Err(TargetError { shown, reason: error.to_string() }),
        }
    }

    /// The same, with what `renew` gives asked before each connection: a password may have been rotated. Where it
    /// gives nothing, this one is used.
    #[must_use]
    pub fn renewed_by(self, renew: impl Fn() -> Option<Self> + Send + Sync + 'static) -> Self {
        let shown = self.shown.clone();
        Self { connector: Arc::new(Renewed { first: self, renew: Box::new(renew) }), shown }
    }
}

struct Renewed {
    first: Target,
    renew: Box<dyn Fn() -> Option<Target> + Send + Sync>,
}

impl Connector for Renewed {
    fn connect(&self, answer_max: Duration, write_max: Duration) -> Result<Box<dyn Wire>, RedisFault> {
        let target = (self.renew)().unwrap_or_else(|| self.first.clone());
        target.connector.connect(answer_max, write_max)
    }
}

#[cfg(test)]
impl Target {
    /// What `connector` leads to.
    pub(super) fn over(connector: impl Connector + 'static) -> Self {
        Self { connector: Arc::new(connector), shown: "a model".to_owned() }
    }
}

/// Logs and process lists are read by many.
fn without_password(url: &str) -> String {
    match (url.find("://"), url.rfind('@')) {
        (Some(scheme), Some(at)) if scheme + 3 <= at => {
            let user = url[scheme + 3..at].split(':').next().unwrap_or_default();
            format!("{}://{user}:…@{}", &url[..scheme], &url[at + 1..])
        }
        _ => url.to_owned(),
    }
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.shown.fmt(f)
    }
}

impl std::fmt::Debug for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Target({self})")
    }
}

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
    /// An answer that nobody should get.
    #[error("Redis answered what was not expected: {0}")]
    Unexpected(String),
}

impl From<RedisError> for RedisFault {
    fn from(error: RedisError) -> Self {
        let text = error.to_string();
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_never_shown() {
        for (url, shown) in [
            ("redis://server:s:e@cret@redis.example:6379/1", "redis://server:…@redis.example:6379/1"),
            ("redis://127.0.0.1", "redis://127.0.0.1"),
        ] {
            assert_eq!(without_password(url), shown);
        }
        let error = "http://a:secret@b".parse::<Target>().unwrap_err().to_string();
        assert!(!error.contains("secret") && error.contains("redis://"), "{error}");
    }
}

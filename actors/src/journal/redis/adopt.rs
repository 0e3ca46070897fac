//! Taking over the streams of a journal whose data directory is gone.

use evenkeel_core::{
    journal::{PerStream, Stream},
    tick::Tick,
};
use redis::{Value, cmd, pipe};
use uuid::Uuid;

use super::{
    fields::{optional, pair, pairs, parsed, take},
    keys::Keys,
    link::{Link, RedisFault, Target},
};
use crate::journal::outbox::{CommitError, Continuation, Outbox};

/// Why streams were not taken over. Nothing was changed in Redis then.
#[derive(Debug, thiserror::Error)]
pub enum AdoptError {
    /// Redis cannot be used.
    #[error(transparent)]
    Redis(#[from] RedisFault),
    /// The data directory has recorded something of its own.
    #[error(
        "the data directory is not new: {0}; only a journal in which nothing has been recorded can go on after another one"
    )]
    NotNew(#[from] CommitError),
    /// The streams are this journal's own.
    #[error("the streams belong to this journal already, {0}: there is nothing to adopt")]
    Own(Uuid),
    /// Their server is running.
    #[error("somebody still writes these streams: stop that server first")]
    StillWritten,
}

/// What was taken over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Adopted {
    /// From which journal.
    pub from: String,
    /// Up to which tick that one told.
    pub up_to: Tick,
    /// The first tick of this one.
    pub begins: Tick,
}

/// Lets the new journal in `outbox` go on where the streams under `keys` end, and notes the gap in `meta`.
///
/// # Errors
/// [`AdoptError`].
pub fn adopt(target: &Target, keys: &Keys, outbox: &mut Outbox, now_ms: u64) -> Result<Adopted, AdoptError> {
    let ours = outbox.meta().journal;
    let mut link = Link::open(target)?;
    // Whatever its server does from here on changes `meta`.
    link.call(cmd("WATCH").arg(keys.meta()))?;
    let found = link.call(cmd("HMGET").arg(keys.meta()).arg("journal").arg("tick"))?;
    let [from, tick] = pair(found)?;
    let Some(from) = optional(from)? else {
        return Err(RedisFault::Gone(format!("{target} holds no journal under {keys}")).into());
    };
    if from == ours.to_string() {
        return Err(AdoptError::Own(ours));
    }
    let up_to = Tick(optional(tick)?.and_then(|tick| tick.parse().ok()).unwrap_or(0));
    let last = PerStream::try_from_fn(|stream| -> Result<_, RedisFault> {
        let mut info = pairs(link.call(cmd("XINFO").arg("STREAM").arg(keys.stream(stream)))?)?;
        let id = parsed(take(&mut info, "last-generated-id")?)?;
        let entry = take(&mut info, "last-entry")?;
        Ok((id, last_seq(stream, entry)?))
    })?;
    let begins = outbox.continue_after(&Continuation { last, tick: up_to })?;
    let mut claim = pipe();
    claim.cmd("HSET").arg(keys.meta());
    claim.arg("journal").arg(ours.to_string()).arg("writer_epoch").arg(0);
    claim.arg("label").arg(&outbox.meta().identity.label);
    claim.arg(format!("gap:{begins}")).arg(format!("{from} ended at tick {up_to}, adopted at {now_ms}"));
    match link.transaction(&mut claim)? {
        None => Err(AdoptError::StillWritten),
        Some(_) => Ok(Adopted { from, up_to, begins }),
    }
}

/// Of the last entry; 0 in a stream that has none.
fn last_seq(stream: Stream, entry: Value) -> Result<u64, RedisFault> {
    if entry == Value::Nil {
        return Ok(0);
    }
    match super::fields::stored(stream, Value::Array(vec![entry]))?.pop() {
        Some(super::fields::Stored::Entry(entry)) => Ok(entry.seq),
        other => Err(RedisFault::Unexpected(format!("{stream} ends with {other:?}"))),
    }
}

//! Taking over the streams of a journal whose data directory is gone, or is back from an older copy.

use evenkeel_core::{
    journal::{PerStream, Stream},
    units::{ids::ExecutionId, tick::Tick},
};
use redis::{Value, cmd, pipe};
use uuid::Uuid;

use super::{
    fields::{array, newer_meta, optional, pairs, parsed, take},
    keys::Keys,
    link::{Link, RedisFault},
    target::Target,
};
use crate::{
    ports::ledger::CommitError,
    stores::outbox::{Continuation, ContinueError, Meta, Outbox},
};

/// Why streams were not taken over. Nothing was changed in Redis then.
#[derive(Debug, thiserror::Error)]
pub enum AdoptError {
    /// Redis cannot be used.
    #[error(transparent)]
    Redis(#[from] RedisFault),
    /// The data directory cannot go on after them.
    #[error(transparent)]
    Continue(#[from] ContinueError),
    /// The outbox cannot be read or written.
    #[error(transparent)]
    Outbox(CommitError),
    /// The streams are this journal's own, and it knows all of them.
    #[error(
        "the streams belong to this journal already, {0}, and the data directory is no older copy: there is nothing to adopt"
    )]
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
    /// Up to which tick that one told; none when it told of none.
    pub up_to: Option<Tick>,
    /// The first tick of this one.
    pub begins: Tick,
    /// What waited in a copy that was put back, and is given up.
    pub given_up: Vec<ExecutionId>,
}

/// Lets the journal in `outbox`, a new one or an older copy of the streams' own, go on where the streams under `keys` end, and
/// notes the gap in `meta`. `tick_ms` is the pace of its daemon.
///
/// # Errors
/// [`AdoptError`].
pub fn adopt(
    target: &Target,
    keys: &Keys,
    outbox: &mut Outbox,
    tick_ms: u64,
    now_ms: u64,
) -> Result<Adopted, AdoptError> {
    let ours = outbox.meta().journal;
    let mut link = Link::open(target)?;
    // Whatever its server does from here on changes `meta`.
    link.call(cmd("WATCH").arg(keys.meta()))?;
    let mut ask = cmd("HMGET");
    ask.arg(keys.meta()).arg("journal").arg("tick").arg("writer_epoch").arg("format");
    let found = array(link.call(&ask)?)?.into_iter().map(optional).collect::<Result<Vec<_>, _>>()?;
    let [from, tick, epoch, format] =
        <[_; 4]>::try_from(found).map_err(|_| RedisFault::Unexpected("HMGET".to_owned()))?;
    newer_meta(format)?;
    let Some(from) = from else {
        return Err(RedisFault::Gone(format!("{target} holds no journal under {keys}")).into());
    };
    let number = |text: Option<String>| text.and_then(|text| text.parse().ok());
    let told = number(tick).map(Tick);
    let adopted = if from == ours.to_string() {
        go_on_with_copy(&mut link, keys, outbox, (told, number(epoch).unwrap_or(0)), tick_ms, now_ms)?
    } else {
        let end = end(&mut link, keys, told, now_ms)?;
        let begins = outbox.continue_after(&end)?;
        Adopted { from, up_to: Some(end.tick), begins, given_up: Vec::new() }
    };
    note(&mut link, keys, outbox, &adopted, now_ms)?;
    Ok(adopted)
}

/// The streams are the outbox' own, and it must be an older copy.
fn go_on_with_copy(
    link: &mut Link,
    keys: &Keys,
    outbox: &mut Outbox,
    (told, writer_epoch): (Option<Tick>, u64),
    tick_ms: u64,
    now_ms: u64,
) -> Result<Adopted, AdoptError> {
    let (next_tick, copy) = outbox.stands_at().map_err(AdoptError::Outbox)?;
    let further = told.is_some_and(|told| told >= next_tick);
    if !further && !copy {
        return Err(AdoptError::Own(outbox.meta().journal));
    }
    let end = if further { Some(end(link, keys, told, now_ms)?) } else { None };
    let continued =
        outbox.continue_copy(end.as_ref(), writer_epoch, tick_ms, now_ms).map_err(AdoptError::Outbox)?;
    Ok(Adopted {
        from: outbox.meta().journal.to_string(),
        up_to: end.map(|end| end.tick).or(continued.after),
        begins: continued.begins,
        given_up: continued.given_up,
    })
}

/// Where the streams end.
fn end(link: &mut Link, keys: &Keys, told: Option<Tick>, now_ms: u64) -> Result<Continuation, RedisFault> {
    let last = PerStream::try_from_fn(|stream| -> Result<_, RedisFault> {
        let mut info = pairs(link.call(cmd("XINFO").arg("STREAM").arg(keys.stream(stream)))?)?;
        let id = parsed(take(&mut info, "last-generated-id")?)?;
        let entry = take(&mut info, "last-entry")?;
        Ok((id, last_seq(stream, entry)?))
    })?;
    Ok(Continuation { last, tick: told.unwrap_or_default(), now_ms })
}

/// Whose the streams are from here on, and where that begins.
fn note(
    link: &mut Link,
    keys: &Keys,
    outbox: &Outbox,
    adopted: &Adopted,
    now_ms: u64,
) -> Result<(), AdoptError> {
    let Adopted { from, up_to, begins, .. } = adopted;
    let Meta { journal, writer_epoch, identity, .. } = outbox.meta();
    let up_to = up_to.map_or("none".to_owned(), |tick| tick.to_string());
    // The next start counts its epoch up, so that it is the later one. A server that still lives is replaced.
    let epoch = if *from == journal.to_string() { *writer_epoch } else { 0 };
    let mut claim = pipe();
    claim.cmd("HSET").arg(keys.meta());
    claim.arg("journal").arg(journal.to_string()).arg("writer_epoch").arg(epoch).arg("writer").arg("");
    claim.arg("label").arg(&identity.label);
    claim.arg(format!("gap:{begins}")).arg(format!("{from} ended at tick {up_to}, adopted at {now_ms}"));
    match link.transaction(&mut claim)? {
        None => Err(AdoptError::StillWritten),
        Some(_) => Ok(()),
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

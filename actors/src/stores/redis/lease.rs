//! The right to level, in Redis.
//!
//! Who levels is decided by a lease whose holder keeps counting its `beat`. Somebody who stands by watches that
//! counter with a clock of its own: when it has stood still for [`SILENCE`], while Redis answered, the lease is
//! taken under the next epoch. Every later step of the old holder names its old epoch and changes
//! nothing. No clocks are compared, so none has to be right.

use std::time::Duration;

use evenkeel_core::server::control::EPOCH_MAX;
use tokio::time::Instant;

use super::{
    FORMAT_VERSION,
    fields::{array, text},
    keys::Keys,
    link::{Link, RedisFault},
    scripts::Scripts,
};
use crate::ports::lease::LeaseEpoch;

/// A holder beats every 200 ms; five missed beats, and a taker still levels within 2 s.
const SILENCE: Duration = Duration::from_secs(1);
/// Looks at a beat that stands still before it counts as silence: a Redis that was away shows none.
const LOOKS_MIN: u32 = 3;

/// Who holds the lease, as last seen.
struct Seen {
    epoch: String,
    beat: String,
    since: Instant,
    looks: u32,
}

/// What came of asking for the lease.
pub(super) enum Standing {
    /// This client has it.
    Levels,
    /// Somebody else has it.
    By {
        /// Who.
        holder: String,
    },
}

/// See the module.
pub(super) struct Lease {
    /// This process, among all that ever were.
    holder: String,
    epoch: LeaseEpoch,
    seen: Option<Seen>,
}

impl Lease {
    /// Of a client that calls itself `holder`, which must be unique.
    pub(super) fn new(holder: String, epoch: LeaseEpoch) -> Self {
        Self { holder, epoch, seen: None }
    }

    /// The epoch under which it was held last.
    pub(super) fn epoch(&self) -> String {
        self.epoch.held().to_string()
    }

    /// Silence is only what was seen while Redis answered.
    pub(super) fn saw_nothing(&mut self) {
        self.seen = None;
    }

    /// Takes the lease, or says who has it.
    pub(super) fn acquire(
        &mut self,
        link: &mut Link,
        keys: &Keys,
        scripts: &Scripts,
    ) -> Result<Standing, RedisFault> {
        let silent =
            self.seen.as_ref().filter(|seen| seen.looks >= LOOKS_MIN && seen.since.elapsed() >= SILENCE);
        let (epoch, beat) =
            silent.map_or((String::new(), String::new()), |seen| (seen.epoch.clone(), seen.beat.clone()));
        let (floor, end) = (self.epoch.floor().to_string(), EPOCH_MAX.to_string());
        let format = FORMAT_VERSION.to_string();
        let arguments = [&self.holder, &epoch, &beat, &floor, &end, &format].map(String::as_bytes);
        let answer = link.script(&scripts.acquire, &[keys.lease()], &arguments)?;
        let answer: Vec<String> = array(answer)?.into_iter().map(text).collect::<Result<_, _>>()?;
        match answer.iter().map(String::as_str).collect::<Vec<_>>()[..] {
            ["yours", epoch] => {
                let epoch = epoch.parse().map_err(|_| unexpected(&answer))?;
                self.epoch.hold(epoch);
                self.seen = None;
                tracing::info!(epoch, "this client levels");
                Ok(Standing::Levels)
            }
            ["held", epoch, beat, holder] => {
                self.see(epoch, beat);
                Ok(Standing::By { holder: holder.to_owned() })
            }
            _ => Err(unexpected(&answer)),
        }
    }

    fn see(&mut self, epoch: &str, beat: &str) {
        match &mut self.seen {
            Some(seen) if seen.epoch == epoch && seen.beat == beat => seen.looks += 1,
            seen => {
                let since = Instant::now();
                *seen = Some(Seen { epoch: epoch.to_owned(), beat: beat.to_owned(), since, looks: 1 });
            }
        }
    }

    /// Ends the lease, if it is this client's.
    pub(super) fn give_back(
        &self,
        link: &mut Link,
        keys: &Keys,
        scripts: &Scripts,
    ) -> Result<(), RedisFault> {
        link.script(&scripts.release, &[keys.lease()], &[self.epoch().as_bytes()]).map(drop)
    }
}

fn unexpected(answer: &[String]) -> RedisFault {
    RedisFault::Unexpected(format!("{answer:?} to a lease"))
}

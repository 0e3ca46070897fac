//! Whose the streams are, of which format, and whether everybody who reads them can read what will be written.

use std::time::Duration;

use evenkeel_core::{
    journal::FIRST_FORMAT,
    units::{lengths::Lengths, tick::Tick},
};
use redis::{Value, cmd};
use tokio::time::Instant;

use super::{
    FORMAT_VERSION,
    fields::{array, newer_meta, optional, text},
    link::{Link, RedisFault},
    scripts::Scripts,
    shipping::{ShipmentSettings, ShippingFault},
};

/// Of the lease, what [`OldReaders::judge`] takes. `reads` is the epoch and the latest format of the client that took the
/// lease under it: clients from before format 2 leave what stood there.
pub(super) const LEASE_FIELDS: [&str; 4] = ["epoch", "beat", "holder", "reads"];
/// A reader beats every 200 ms. One that has not for so long, while Redis answered, is gone and has not said so.
const SILENCE: Duration = Duration::from_secs(3);
/// Looks at a beat that stands still before it counts as silence.
const LOOKS_MIN: u32 = 3;

/// Says whose the streams under the keys are: this writer's, from now on.
pub(super) fn claim(
    link: &mut Link,
    scripts: &Scripts,
    settings: &ShipmentSettings,
    next_tick: Tick,
) -> Result<(), ShippingFault> {
    let ShipmentSettings { keys, journal, writer_epoch, writer, label, lengths, .. } = settings;
    let Lengths { tick_ms, window_ticks, default_delay_ticks } = lengths;
    let arguments = [
        journal.to_string(),
        writer_epoch.to_string(),
        FORMAT_VERSION.to_string(),
        tick_ms.to_string(),
        label.clone(),
        writer.to_string(),
        next_tick.to_string(),
        window_ticks.to_string(),
        default_delay_ticks.to_string(),
    ];
    let arguments = arguments.each_ref().map(String::as_bytes);
    let mut claim = array(link.script(&scripts.claim, &[keys.meta()], &arguments)?)?.into_iter();
    let mut next = || claim.next().map(text).transpose();
    match (next()?.as_deref(), next()?, next()?) {
        (Some("known" | "new"), _, _) => Ok(()),
        (Some("other"), Some(theirs), label) => Err(other_journal(settings, theirs, label)),
        (Some("older"), Some(theirs), _) => Err(older(settings, format!("tick {theirs}"), next_tick)),
        (Some("replaced"), Some(theirs), _) => {
            Err(ShippingFault::Replaced { ours: *writer_epoch, theirs: theirs.parse().unwrap_or(u64::MAX) })
        }
        (Some("newer"), theirs, _) => {
            newer_meta(theirs.clone())?;
            Err(RedisFault::Unexpected(format!("format {theirs:?} in {}", keys.meta())).into())
        }
        (Some("outdated"), theirs, _) => {
            let (keys, theirs) = (keys.to_string(), theirs.unwrap_or_default());
            Err(ShippingFault::OlderFormat { keys, theirs, ours: FORMAT_VERSION })
        }
        answer => Err(RedisFault::Unexpected(format!("{answer:?} to a claim")).into()),
    }
}

pub(super) fn other_journal(
    settings: &ShipmentSettings,
    theirs: String,
    label: Option<String>,
) -> ShippingFault {
    let ShipmentSettings { keys, journal, .. } = settings;
    let label = label.unwrap_or_default();
    ShippingFault::OtherJournal { keys: keys.to_string(), ours: *journal, theirs, label }
}

pub(super) fn older(settings: &ShipmentSettings, theirs: String, next_tick: Tick) -> ShippingFault {
    let ShipmentSettings { keys, journal, .. } = settings;
    ShippingFault::Older { keys: keys.to_string(), journal: *journal, theirs, next_tick }
}

/// Readers of an earlier format: what they cannot read they would throw away as dead letters, so nothing is written
/// while one lives.
#[derive(Debug, Default)]
pub(super) struct OldReaders {
    /// The last one, until it is known to be gone.
    seen: Option<Seen>,
    /// Whether one may take the lease at any moment: nobody has it, or nobody moves it.
    pub(super) may_come: bool,
}

#[derive(Debug)]
struct Seen {
    epoch: String,
    beat: String,
    since: Instant,
    looks: u32,
}

impl Seen {
    fn is_silent(&self) -> bool {
        self.looks >= LOOKS_MIN && self.since.elapsed() >= SILENCE
    }
}

impl OldReaders {
    /// Looks at the [`LEASE_FIELDS`] as Redis answered them.
    ///
    /// # Errors
    /// [`ShippingFault::OldReader`] while somebody reads who cannot read the format that is written.
    pub(super) fn judge(&mut self, settings: &ShipmentSettings, lease: Value) -> Result<(), ShippingFault> {
        let fields = array(lease)?.into_iter().map(|field| Ok(optional(field)?.unwrap_or_default()));
        let fields = fields.collect::<Result<Vec<_>, RedisFault>>()?;
        let [epoch, beat, holder, reads] =
            <[_; 4]>::try_from(fields).map_err(|_| RedisFault::Unexpected("HMGET".to_owned()))?;
        let said = reads.split_once(' ').filter(|(of, _)| *of == epoch);
        let theirs = said.and_then(|(_, format)| format.parse().ok()).unwrap_or(FIRST_FORMAT);
        self.may_come = holder.is_empty() || theirs < FORMAT_VERSION;
        if holder.is_empty() || theirs >= FORMAT_VERSION {
            self.seen = None;
            return Ok(());
        }
        match &mut self.seen {
            Some(seen) if (&seen.epoch, &seen.beat) == (&epoch, &beat) => seen.looks += 1,
            seen => *seen = Some(Seen { epoch, beat, since: Instant::now(), looks: 1 }),
        }
        if self.seen.as_ref().is_some_and(Seen::is_silent) {
            return Ok(());
        }
        let keys = settings.keys.to_string();
        Err(ShippingFault::OldReader { keys, holder, theirs, ours: FORMAT_VERSION })
    }
}

/// Whether Redis may be written at all; what a person should know of it.
pub(super) fn check_policy(link: &mut Link) -> Result<Vec<String>, ShippingFault> {
    let memory = text(link.call(cmd("INFO").arg("memory"))?)?;
    let policy = line(&memory, "maxmemory_policy:").unwrap_or("noeviction");
    if policy != "noeviction" {
        return Err(ShippingFault::Evicting(policy.to_owned()));
    }
    let persistence = text(link.call(cmd("INFO").arg("persistence"))?)?;
    if line(&persistence, "loading:") == Some("1") {
        return Err(RedisFault::Away("it is loading its data".to_owned()).into());
    }
    let forgets = line(&persistence, "aof_enabled:") == Some("0");
    let warning = "Redis has no append-only file: a restart loses its copy, and only the outbox's last 10 minutes come back";
    Ok(forgets.then(|| warning.to_owned()).into_iter().collect())
}

fn line<'a>(info: &'a str, name: &str) -> Option<&'a str> {
    info.lines().find_map(|line| line.strip_prefix(name)).map(str::trim)
}

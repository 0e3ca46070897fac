//! What works less well than it should while the program does its work: causes for `/readyz`, the page, the line, the
//! metrics. Gathered once a second. Each sentence says what is wrong and the remedy where there is one; since when is
//! added to it.

use std::{collections::BTreeMap, path::Path, time::Duration};

use evenkeel_actors::{
    clock::unix_ms,
    leveller::consumer::Unsaved,
    ports::ledger::{CommitError, Pressure, Published},
    server::{
        queue::QueueSnapshot,
        shipper::{self, Shipping},
    },
    stores::outbox::DATABASE_FILE,
};
use evenkeel_core::{
    journal::{Mode, Stream},
    units::span::Span,
};

use super::{clock::ClockWatch, limits};
use crate::{
    http::{Cause, ClientTold, ClientViews, Degraded, Kind, Views},
    output::{self, Trouble},
};

/// Entries that may wait without a word: a tick at 1,000 executions, of which each has two.
const LAG_MAX: u64 = 2_000;
/// What the client of the same process calls itself.
pub(super) const EMBEDDED_CLIENT: &str = "embedded";
/// A clock that is corrected by less is no news.
const CLOCK_BEHIND_MAX_MS: u64 = 1_000;

/// How long refused arrivals, and what else is over, are told after the last one.
pub(super) const TOLD_FOR_MS: u64 = 3_600_000;
/// A client that tells each second how it is, and has not for so long, has gone.
const SILENT: Duration = Duration::from_secs(5);
/// A client that is so far behind plans what has run already: ten windows at the default pace.
const BEHIND_SECONDS: f64 = 10.0;

/// What was found, in any order.
pub(super) type Found = Vec<(Kind, String)>;

/// Remembers since when each kind of cause is there.
#[derive(Default)]
pub(super) struct Gatherer {
    since_ms: BTreeMap<Kind, u64>,
    clock: ClockWatch,
    /// Arrivals that were refused, and when the last of them was.
    refused: (u64, u64),
}

impl Gatherer {
    /// One that begins when the clock is that much ahead of the journal's last entry.
    pub(super) fn new(clock_ahead_ms: u64) -> Self {
        Self { clock: ClockWatch::new(unix_ms(), clock_ahead_ms), ..Self::default() }
    }

    /// Of the server's half: with its client in the same process, or alone, where it ships.
    pub(super) fn server(&mut self, views: &Views) -> Degraded {
        let mut found = Vec::new();
        if let Some(shipping) = &views.shipping {
            let lag = shipping.borrow().lag(&views.outbox.borrow().last_seq);
            found.extend(shipped(&shipping.borrow(), lag));
            found.extend(levelled(views, "start `evenkeel client`, or see its log and its /readyz"));
        } else if views.about.levels {
            found.extend(levelled(views, "this process' own client decides nothing, see the log"));
            found.extend(strangers_lease(views));
        }
        found.extend(everywhere(views));
        found.extend(self.moved());
        found.extend(self.refused(views));
        self.gather(found)
    }

    /// Of the client's half alone.
    pub(super) fn client(&mut self, views: &ClientViews, unsaved: &Unsaved) -> Degraded {
        let access = views.access.degraded().map(|sentence| (Kind::Access, sentence));
        let causes = printed().into_iter().chain(access).chain(unsaved.as_deref().map(not_saved));
        self.gather(causes.collect())
    }

    /// Told for an hour, as losses are.
    fn refused(&mut self, views: &Views) -> Option<(Kind, String)> {
        let (now_ms, refused) = (unix_ms(), views.pace.borrow().refused_arrivals);
        if refused > self.refused.0 {
            self.refused = (refused, now_ms);
        }
        let full = views.outbox.borrow().pressure != Pressure::None;
        let sentence = if full {
            format!(
                "arrivals are refused, {refused} so far: the outbox is full of what Redis has not taken; bring Redis back"
            )
        } else if refused > 0 && now_ms.saturating_sub(self.refused.1) < TOLD_FOR_MS {
            format!(
                "{refused} arrivals were refused: the outbox was full of what Redis had not taken, and has room again"
            )
        } else {
            return None;
        };
        Some((Kind::Refused, sentence))
    }

    /// Whether the clock that entries' ids follow was moved.
    fn moved(&mut self) -> Found {
        self.clock.look(unix_ms()).into_iter().map(|sentence| (Kind::Clock, sentence)).collect()
    }

    /// What was found, with since when.
    pub(super) fn gather(&mut self, mut found: Found) -> Degraded {
        let now_ms = unix_ms();
        self.since_ms.retain(|kind, _| found.iter().any(|(still, _)| still == kind));
        // Stable: sentences of one kind stay in the order in which they were found.
        found.sort_by_key(|(kind, _)| *kind);
        let caused = found.into_iter().map(|(kind, sentence)| {
            let since_ms = *self.since_ms.entry(kind).or_insert(now_ms);
            Cause { kind, sentence, since_ms }
        });
        caused.collect()
    }
}

/// What each form of the program has in common.
fn everywhere(views: &Views) -> Found {
    let access = views.access.degraded().map(|sentence| (Kind::Access, sentence));
    let told = views.told.borrow().clone();
    let unsaved = told.as_ref().and_then(|told| told.report.unsaved.as_deref()).map(not_saved);
    let behind = told.as_ref().and_then(|told| client_behind(views, told));
    let outbox = views.outbox.borrow();
    let log = log_held(&outbox, &views.about.data_dir);
    let causes = [stalled(views), clock(&outbox), log, unsaved, behind, access];
    causes.into_iter().flatten().chain(printed()).collect()
}

/// Ticks that cannot be recorded do not run.
fn stalled(views: &Views) -> Option<(Kind, String)> {
    if !views.pace.borrow().stalled {
        return None;
    }
    let cause = match &views.outbox.borrow().trouble {
        Some(cause @ CommitError::Full(_)) => format!("{cause}; make room on it, and it goes on by itself"),
        Some(cause @ CommitError::Io(_)) => {
            let limit = limits::file_size().map(|limit| format!(" ({limit})")).unwrap_or_default();
            format!("{cause}{limit}; mend that, and it goes on by itself")
        }
        Some(cause) => cause.to_string(),
        None => "a tick cannot begin; the log says why, and it is tried again".to_owned(),
    };
    Some((Kind::Disk, format!("nothing runs: {cause}")))
}

fn not_saved(cause: &str) -> (Kind, String) {
    let sentence = format!(
        "the client's state is not saved: {cause}; it is tried every 5 s, and after a restart what came since is learned \
         again: make room there, or let it be written"
    );
    (Kind::Snapshot, sentence)
}

fn client_behind(views: &Views, told: &ClientTold) -> Option<(Kind, String)> {
    // One that says nothing has gone: that is another cause.
    if told.at.elapsed() > SILENT {
        return None;
    }
    let tick = views.pace.borrow().last?.tick;
    // Ticks that run ahead wait for each plan, and pass faster than the client tells of itself.
    if views.ahead_until().is_some() {
        return None;
    }
    let ticks = tick.since(told.report.decided?.tick);
    let behind = Span::of(ticks, views.about.lengths.tick_ms);
    (behind.seconds() >= BEHIND_SECONDS).then(|| {
        let sentence = format!(
            "the client is {behind} behind: its plans come too late; it reads through a backlog, which ends by itself, or \
             needs more of its machine"
        );
        (Kind::Behind, sentence)
    })
}

/// What this process prints.
fn printed() -> Found {
    let outputs = [
        (output::log_condition(), "the log", "standard error", "2> FILE"),
        (output::lines_condition(), "the line each second", "standard output", "> FILE"),
    ];
    let found = outputs.into_iter().filter_map(|(condition, what, descriptor, elsewhere)| {
        let Trouble { cause, over, waiting, missing } = condition.trouble?;
        let sentence = if over {
            format!("{missing} lines of {what} are missing ({descriptor}: {cause}): it works again")
        } else {
            format!(
                "{what} does not get out ({descriptor}: {cause}), {waiting} lines wait, {missing} are missing: read it, \
                 make room, or start with {elsewhere}"
            )
        };
        Some((Kind::Output, sentence))
    });
    found.collect()
}

fn shipped(shipping: &Shipping, lag: u64) -> Found {
    let mut found = Vec::new();
    match &shipping.trouble {
        Some(shipper::Trouble { fault, since }) => {
            let seconds = since.elapsed().as_secs();
            let sentence = format!("nothing is shipped for {seconds} s, {lag} entries wait: {fault}");
            found.push((Kind::Shipping, sentence));
        }
        None if lag > LAG_MAX => {
            found.push((Kind::Behind, format!("catching up: {lag} entries wait in the outbox")));
        }
        None => {}
    }
    found.extend(shipping.lost.iter().map(|(sentence, _)| (Kind::Lost, sentence.clone())));
    found.extend(shipping.warnings.iter().map(|warning| (Kind::Redis, warning.clone())));
    found
}

fn levelled(views: &Views, remedy: &str) -> Option<(Kind, String)> {
    let queue = views.queue.borrow().clone()?;
    let told = views.told.borrow().as_ref().and_then(|told| told.report.note.clone());
    leaderless(&queue, told.as_deref(), remedy).map(|sentence| (Kind::Levelling, sentence))
}

fn leaderless(queue: &QueueSnapshot, told: Option<&str>, remedy: &str) -> Option<String> {
    let since = match &queue.lease {
        _ if queue.mode == Mode::Off => return None,
        Some(lease) if lease.lives_after(queue.tick) => return None,
        Some(lease) => {
            let (until, holder, epoch) = (lease.until, lease.holder(), lease.epoch);
            format!("since tick {until}, when the lease of {holder} (epoch {epoch}) ended")
        }
        None => "yet".to_owned(),
    };
    let says = told.map(|note| format!("; it says: {}", note.escape_debug())).unwrap_or_default();
    Some(format!("no client levels {since}: executions run when they are due; {remedy}{says}"))
}

/// A token of the scope `control` lets anybody ask for the lease.
fn strangers_lease(views: &Views) -> Option<(Kind, String)> {
    let queue = views.queue.borrow().clone()?;
    let lease = queue.lease.as_ref().filter(|lease| lease.lives_after(queue.tick))?;
    (lease.client != EMBEDDED_CLIENT).then(|| {
        let (holder, epoch) = (lease.holder(), lease.epoch);
        let sentence = format!(
            "{holder} levels (epoch {epoch}), and not this process' own client, which goes above it: find who sends these \
             requests, or take its token away"
        );
        (Kind::Levelling, sentence)
    })
}

/// Somebody's read transaction keeps the log from being emptied: ticks go on, and it grows until the disk is full.
fn log_held(outbox: &Published, data_dir: &Path) -> Option<(Kind, String)> {
    let seconds = outbox.log.held_since?.elapsed().as_secs();
    let megabytes = outbox.log.bytes / 1_000_000;
    let database = data_dir.join(DATABASE_FILE);
    let sentence = format!(
        "a reader has held the outbox's log open for {seconds} s: it has grown to {megabytes} MB and cannot be emptied; end \
         the read transaction or its process, `fuser -v {}` names it",
        database.display()
    );
    Some((Kind::Reader, sentence))
}

/// Entry ids never go back with the machine's clock.
fn clock(outbox: &Published) -> Option<(Kind, String)> {
    let last_ms = Stream::ALL.iter().map(|&stream| outbox.last[stream].ms).max().unwrap_or(0);
    let behind_ms = last_ms.saturating_sub(unix_ms());
    (behind_ms > CLOCK_BEHIND_MAX_MS).then(|| {
        let seconds = behind_ms / 1_000;
        let sentence = format!(
            "the clock is {seconds} s behind the last entry: ids go on from there until it has caught up; if it is wrong, set it \
             right"
        );
        (Kind::Clock, sentence)
    })
}

#[cfg(test)]
mod tests {
    use evenkeel_core::{journal::Lease, units::tick::Tick};

    use super::*;

    #[test]
    fn the_most_urgent_comes_first_and_each_kind_keeps_its_beginning() {
        let mut gatherer = Gatherer::default();
        let found = |kinds: &[Kind]| kinds.iter().map(|kind| (*kind, kind.name().to_owned())).collect();
        let first = gatherer.gather(found(&[Kind::Output, Kind::Clock]));
        assert_eq!(first.iter().map(|cause| cause.kind).collect::<Vec<_>>(), [Kind::Clock, Kind::Output]);
        gatherer.since_ms.insert(Kind::Clock, 7);
        let second = gatherer.gather(found(&[Kind::Clock, Kind::Disk]));
        assert_eq!(second[0].kind, Kind::Disk);
        assert_eq!(second[1].since_ms, 7, "it has been there since");
        assert!(gatherer.gather(Vec::new()).is_empty());
        assert!(gatherer.gather(found(&[Kind::Clock]))[0].since_ms > 7, "it came back");
    }

    #[test]
    fn a_cause_says_since_when() {
        let cause = Cause { kind: Kind::Disk, sentence: "no room: make some".to_owned(), since_ms: 1_000 };
        assert_eq!(cause.to_string(), "no room: make some (since 1970-01-01T00:00:01Z)");
    }

    #[test]
    fn that_no_client_levels_is_said_with_who_did_and_until_when() {
        let lease = Lease { client: "a\u{1b}[2J".repeat(200), epoch: 7, until: Tick(9), ticks: 10 };
        let queue = |mode, tick, lease: Option<&Lease>| QueueSnapshot {
            tick: Tick(tick),
            mode,
            lease: lease.cloned(),
            levelled: false,
            waiting: Vec::new(),
            running: Vec::new(),
        };
        let said = |queue: QueueSnapshot| leaderless(&queue, Some("its token is refused"), "start it");
        assert_eq!(said(queue(Mode::Enforce, 8, Some(&lease))), None, "it covers tick 9");
        assert_eq!(said(queue(Mode::Off, 20, Some(&lease))), None);
        let none = said(queue(Mode::Shadow, 3, None)).unwrap();
        assert!(
            none.starts_with("no client levels yet: ") && none.ends_with("its token is refused"),
            "{none}"
        );
        let ended = said(queue(Mode::Enforce, 9, Some(&lease))).unwrap();
        assert!(
            ended.starts_with("no client levels since tick 9, ") && ended.contains("(epoch 7)"),
            "{ended}"
        );
        assert!(!ended.contains('\u{1b}') && ended.len() < 800, "a name is bounded and printable: {ended}");
    }
}

//! The leader goes, in each way, and the load goes on: what runs in the half minute after, in virtual time.

#![allow(clippy::unwrap_used, reason = "a helper that fails fails the test")]

mod circle;
#[path = "leader/picture.rs"]
mod picture;

use std::collections::VecDeque;

use evenkeel_core::{
    journal::{Mode, Recovered},
    server::queue::{HoldLimits, RecordedQueue},
    units::tick::Tick,
    world::Scenario,
};

use self::circle::Circle;

/// When the leader goes: the mean of the minute before is known.
const GOES: u64 = 1_800;
/// Ticks that are judged after that: 30 s.
const JUDGED: u64 = 300;
/// Ticks of the mean.
const MINUTE: usize = 600;

/// How the leader goes, and who comes.
#[derive(Clone, Copy, Debug)]
struct Case {
    name: &'static str,
    /// Whether its last request hands over.
    handover: bool,
    /// Ticks until somebody plans again; none for never.
    back_after: Option<u64>,
    /// Whether whoever plans again has an old view at first: its first plan is as old as the silence, the next one comes
    /// two ticks later and is two ticks old.
    behind: bool,
    /// Whether the server starts anew, too, so that slots are gone.
    restart: bool,
    /// The mode that somebody sets instead.
    mode: Option<Mode>,
}

const CASES: [Case; 10] = [
    Case { name: "SIGINT, SIGTERM of the client", handover: true, ..GONE },
    Case { name: "the same, a standby", handover: true, back_after: Some(4), ..GONE },
    Case { name: "kill -9 of the client", ..GONE },
    Case { name: "the same, a standby", back_after: Some(35), ..GONE },
    Case { name: "SIGSTOP of the client, 5 s", back_after: Some(50), ..GONE },
    Case { name: "kill -9 of Redis, 3 s", back_after: Some(30), behind: true, ..GONE },
    Case { name: "SIGSTOP of Redis, 10 s", back_after: Some(100), behind: true, ..GONE },
    Case { name: "kill -9 of all, client back in 2 s", back_after: Some(20), restart: true, ..GONE },
    Case { name: "the mode becomes off", mode: Some(Mode::Off), ..GONE },
    Case { name: "the mode becomes shadow", mode: Some(Mode::Shadow), back_after: Some(0), ..GONE },
];
const GONE: Case =
    Case { name: "", handover: false, back_after: None, behind: false, restart: false, mode: None };

impl Case {
    /// How old the view is of whoever plans at a tick since the leader went; none where nobody plans.
    fn age(&self, since: Option<u64>) -> Option<u64> {
        let Some(since) = since else { return Some(0) };
        let back = since.checked_sub(self.back_after?)?;
        match back {
            0 if self.behind => Some(since),
            1 if self.behind => None,
            2 if self.behind => Some(2),
            _ => Some(0),
        }
    }
}

/// The half minute after, in shares of the minute's mean of executions a tick.
#[derive(Clone, Copy, Debug, PartialEq)]
struct After {
    least: f64,
    most: f64,
    /// The largest mean of a second.
    second: f64,
}

/// What runs in each tick of the circle in which nobody plans from [`GOES`] on, for as long as `case` says.
fn counts(scenario: Scenario, seed: u64, case: Case) -> Vec<f64> {
    let mut circle = Circle::new(scenario, seed, None);
    let mut counts = Vec::<f64>::new();
    let mut unread = VecDeque::new();
    for tick in (0..=GOES + JUDGED).map(Tick) {
        let (commit, executed, _) = circle.tick(tick);
        counts.push(executed.len() as f64);
        if tick.0 == GOES && case.restart {
            let rows = circle.queue.queue().planned().map(|planned| planned.queued).collect();
            let recovered = Recovered { state: commit.state.clone(), queue: rows, ..Recovered::default() };
            circle.queue = RecordedQueue::recover(circle.lengths(), HoldLimits::default(), &recovered);
        }
        if let Some(mode) = case.mode.filter(|_| tick.0 == GOES) {
            circle.queue.set_mode(mode, 0);
        }
        let since = tick.0.checked_sub(GOES);
        let last = since == Some(0) && case.handover;
        unread.push_back(commit);
        let age = if last { Some(0) } else { case.age(since) };
        let Some(age) = age else { continue };
        while unread.len() as u64 > age {
            circle.read(&unread.pop_front().unwrap());
        }
        let request = circle.plan(Tick(tick.0 - age), 1 + u64::from(tick.0 > GOES), last);
        circle.queue.control(&request).unwrap();
    }
    counts
}

fn after(counts: &[f64]) -> After {
    let goes = GOES as usize;
    let mean = counts[goes - MINUTE..goes].iter().sum::<f64>() / MINUTE as f64;
    let judged = &counts[goes + 1..];
    let shares = || judged.iter().map(|count| count / mean);
    let seconds = judged.windows(10).map(|second| second.iter().sum::<f64>() / 10.0 / mean);
    After {
        least: shares().fold(f64::INFINITY, f64::min),
        most: shares().fold(0.0, f64::max),
        second: seconds.fold(0.0, f64::max),
    }
}

/// Every case at a scenario, the worst of `seeds`.
fn table(scenario: Scenario, seeds: std::ops::Range<u64>) -> Vec<(Case, After)> {
    let worst = |case: Case| {
        let each = seeds.clone().map(|seed| after(&counts(scenario, seed, case)));
        each.reduce(|a, b| After {
            least: a.least.min(b.least),
            most: a.most.max(b.most),
            second: a.second.max(b.second),
        })
    };
    CASES.map(|case| (case, worst(case).unwrap())).to_vec()
}

fn name(scenario: Scenario, case: Case, after: After) -> String {
    let After { least, most, second } = after;
    format!("{scenario:?}: {}: {least:.2}..{most:.2}, a second {second:.2}", case.name)
}

/// Limits of a scenario: least and most of a tick, most of a second, in shares of the minute's mean.
fn limits(scenario: Scenario, case: Case) -> [f64; 3] {
    let open = f64::INFINITY;
    match scenario {
        // On-time arrivals run at once where nobody levels: only what is overdue is spread.
        _ if case.mode.is_some() => [0.0, open, open],
        // At two a tick a tick of none is no stall.
        Scenario::Busy => [0.0, 2.0, 1.3],
        _ => [0.5, 1.5, 1.3],
    }
}

/// What whoever runs the tests asks for.
#[expect(clippy::disallowed_methods, reason = "more of a test on request, and no setting of the product")]
fn wish(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// `EVENKEEL_TABLE=8` prints the worst of 8 seeds: the table in docs/reliability.md.
#[test]
fn the_load_goes_on_within_its_limits_whoever_goes() {
    let seeds = wish("EVENKEEL_TABLE").and_then(|seeds| seeds.parse().ok());
    let mut broken = Vec::new();
    for scenario in [Scenario::Busy, Scenario::X5, Scenario::X10, Scenario::X50] {
        for (case, after) in table(scenario, 1..1 + seeds.unwrap_or(1)) {
            let said = name(scenario, case, after);
            if seeds.is_some() {
                println!("{said}");
            }
            let [least, most, second] = limits(scenario, case);
            if after.least < least || after.most > most || after.second > second {
                broken.push(said);
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

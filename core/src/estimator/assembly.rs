//! Puts windows together with the executions that they count, however the two streams interleave.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use super::{
    observation::{Observation, TickRuns},
    snapshot::SnapshotError,
};
use crate::{
    journal::Executed,
    units::{
        ids::QueryId,
        resource::PerResource,
        tick::Tick,
        window::{Extent, Window},
    },
};

/// Executions that wait for their window: two minutes at 75 a tick. Beyond it windows must be missing,
/// and the oldest are forgotten.
const RUNS_MAX: usize = 100_000;
/// Windows that wait for their executions: nearly three hours. The windows' stream is the sparser one,
/// so a reader that catches up in batches sees it run ahead.
const WINDOWS_MAX: usize = 10_000;
/// Ticks of a window that is believed.
const WINDOW_TICKS_MAX: u64 = 600;
/// Longest that a window waits for an execution that goes on after it, in ticks: a minute at the default pace. What went on
/// longer used an unknown part of the window, of which nothing is learned then.
const RUNNING_TICKS_MAX: u64 = 600;

/// An execution that waits for its window.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Run {
    query: QueryId,
    first_tick: Tick,
    last_tick: Tick,
}

impl Run {
    fn ticks(&self) -> u64 {
        self.last_tick.since(self.first_tick).saturating_add(1)
    }
}

/// What has been seen and not yet been put together.
///
/// Each stream comes in its own order: windows by tick, executions by the tick in which they ended. So
/// an execution that ended after a window's last tick proves that no further one of that window comes:
/// a window that still lacks some then is given up. What is decided depends on what the streams say
/// and not on how they interleave.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "Stored", into = "Stored")]
pub(super) struct Assembly {
    /// By the tick in which they ended; in stream order within it.
    ended: BTreeMap<Tick, Vec<Run>>,
    windows: VecDeque<Window>,
    /// The latest tick in which an execution ended.
    latest: Option<Tick>,
    /// Windows up to this tick are done with: applied, given up or missing.
    done: Option<Tick>,
    runs: usize,
}

/// An [`Assembly`] as it is stored, in the form of format 1, in which each execution ended in the tick in which it began.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    ended: BTreeMap<Tick, Vec<Run>>,
    /// Always empty: format 1 had executions of windows that were done here, and never any.
    running: Vec<Run>,
    windows: VecDeque<StoredWindow>,
    latest: Option<Tick>,
    done: Option<Tick>,
    runs: usize,
}

/// A window in the form of format 1. What later formats add is stored apart: see [`LateWindow`].
#[derive(Serialize, Deserialize)]
struct StoredWindow {
    first_tick: Tick,
    last_tick: Tick,
    usage: PerResource<Extent>,
    executed: u64,
    in_corridor: bool,
}

/// What a waiting window says that format 1 has no place for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LateWindow {
    first_tick: Tick,
    running: u64,
    incomplete: bool,
}

impl From<Assembly> for Stored {
    fn from(Assembly { ended, windows, latest, done, runs }: Assembly) -> Self {
        let windows = windows.into_iter().map(|window| {
            let Window { first_tick, last_tick, usage, executed, in_corridor, .. } = window;
            StoredWindow { first_tick, last_tick, usage, executed, in_corridor }
        });
        Self { ended, running: Vec::new(), windows: windows.collect(), latest, done, runs }
    }
}

impl From<Stored> for Assembly {
    fn from(Stored { ended, windows, latest, done, runs, .. }: Stored) -> Self {
        let windows = windows.into_iter().map(|window| {
            let StoredWindow { first_tick, last_tick, usage, executed, in_corridor } = window;
            Window { first_tick, last_tick, usage, executed, in_corridor, running: 0, incomplete: false }
        });
        Self { ended, windows: windows.collect(), latest, done, runs }
    }
}

impl Assembly {
    pub(super) fn executed(&mut self, executed: &Executed) {
        let last_tick = executed.finished_tick.max(executed.tick);
        let run = Run { query: executed.query, first_tick: executed.tick, last_tick };
        self.latest = self.latest.max(Some(last_tick));
        if self.done >= Some(last_tick) {
            // Its window did not count it, or was given up.
            return;
        }
        self.ended.entry(last_tick).or_default().push(run);
        self.runs += 1;
        while self.runs > RUNS_MAX
            && let Some((_, forgotten)) = self.ended.pop_first()
        {
            self.runs -= forgotten.len();
        }
    }

    pub(super) fn window(&mut self, window: &Window) {
        let after = self.windows.back().map(|last| last.last_tick).max(self.done);
        let ticks = window.last_tick.since(window.first_tick).saturating_add(1);
        if window.last_tick < window.first_tick
            || ticks > WINDOW_TICKS_MAX
            || after.is_some_and(|after| window.first_tick <= after)
        {
            return;
        }
        self.windows.push_back(*window);
        if self.windows.len() > WINDOWS_MAX
            && let Some(given_up) = self.windows.pop_front()
        {
            self.finish(given_up.last_tick);
        }
    }

    /// The next window whose executions have all been seen. To be called until there is none.
    pub(super) fn next(&mut self) -> Option<Observation> {
        while let Some(window) = self.windows.front().copied() {
            let runs = self.runs_of(&window);
            if runs == Runs::Awaited {
                return None;
            }
            self.windows.pop_front();
            let observation = (runs == Runs::Seen).then(|| self.observation(&window));
            self.finish(window.last_tick);
            if observation.is_some() {
                return observation;
            }
        }
        None
    }

    /// Whether a window can be put together with what ran in it.
    fn runs_of(&self, window: &Window) -> Runs {
        if window.incomplete {
            return Runs::Lost;
        }
        let seen: usize =
            self.ended.range(window.first_tick..=window.last_tick).map(|(_, runs)| runs.len()).sum();
        let ended = seen as u64 >= window.executed;
        let running = window.running == 0 || self.running(window).count() as u64 == window.running;
        if ended && running {
            return Runs::Seen;
        }
        // The last tick in which one could have ended that is missing.
        let until = if ended { waits_until(window) } else { window.last_tick };
        if self.latest <= Some(until) { Runs::Awaited } else { Runs::Lost }
    }

    /// Of the executions that went on after `window`, those that it waits for, in the order in which they ended.
    fn running(&self, window: &Window) -> impl Iterator<Item = &Run> {
        let (from, to) = (window.last_tick.next(), waits_until(window));
        let ended = self.ended.range(from..=to).flat_map(|(_, runs)| runs);
        let last_tick = window.last_tick;
        ended.filter(move |run| run.first_tick <= last_tick).take(window.running as usize)
    }

    fn observation(&self, window: &Window) -> Observation {
        let ticks = window.last_tick.since(window.first_tick).saturating_add(1);
        let mut runs = vec![Vec::new(); ticks as usize];
        let ended = self.ended.range(window.first_tick..=window.last_tick).flat_map(|(_, runs)| runs);
        // Should there be more than it counts, the first ones are those that were there when it closed.
        for run in ended.take(window.executed as usize).chain(self.running(window)) {
            let from = run.first_tick.max(window.first_tick);
            let to = run.last_tick.min(window.last_tick);
            for tick in from.0..=to.0 {
                runs[(tick - window.first_tick.0) as usize].push((run.query, 1.0 / run.ticks() as f64));
            }
        }
        let ticks = runs.into_iter().map(|runs| TickRuns::new(runs, 1.0)).collect();
        Observation { usage: window.usage, ticks }
    }

    /// What format 1 has no place for.
    pub(super) fn late(&self) -> impl Iterator<Item = LateWindow> {
        let windows = self.windows.iter().filter(|window| window.running > 0 || window.incomplete);
        windows.map(|&Window { first_tick, running, incomplete, .. }| LateWindow {
            first_tick,
            running,
            incomplete,
        })
    }

    /// Puts back what [`Assembly::late`] said.
    pub(super) fn restore_late(&mut self, late: &[LateWindow]) -> Result<(), SnapshotError> {
        for &LateWindow { first_tick, running, incomplete } in late {
            let window = self.windows.iter_mut().find(|window| window.first_tick == first_tick);
            let window = window.ok_or(SnapshotError::Value { what: "late window that does not wait" })?;
            (window.running, window.incomplete) = (running, incomplete);
        }
        Ok(())
    }

    /// Whether a restored one can have been written.
    pub(super) fn check(&self) -> Result<(), SnapshotError> {
        let runs = self.ended.iter().flat_map(|(tick, runs)| runs.iter().map(move |run| (*tick, run)));
        let ended = runs.clone().all(|(tick, run)| run.last_tick == tick && run.first_tick <= tick);
        let order =
            self.windows.iter().zip(self.windows.iter().skip(1)).all(|(a, b)| a.last_tick < b.first_tick);
        let lengths = self.windows.iter().all(|window| {
            window.first_tick <= window.last_tick
                && window.last_tick.since(window.first_tick) < WINDOW_TICKS_MAX
        });
        if runs.count() == self.runs && ended && order && lengths {
            Ok(())
        } else {
            Err(SnapshotError::Value { what: "waiting window or execution" })
        }
    }

    /// Drops what belongs to windows up to `tick`.
    fn finish(&mut self, tick: Tick) {
        self.done = Some(tick);
        let later = self.ended.split_off(&tick.next());
        let gone = std::mem::replace(&mut self.ended, later);
        self.runs -= gone.into_values().map(|runs| runs.len()).sum::<usize>();
    }
}

/// What has been seen of what a window counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Runs {
    /// All of it.
    Seen,
    /// The rest may still come.
    Awaited,
    /// The rest never comes, or too late.
    Lost,
}

/// The last tick in which an execution may end that a window waits for.
fn waits_until(window: &Window) -> Tick {
    window.last_tick.after(RUNNING_TICKS_MAX)
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::{
        journal::Outcome,
        units::{ids::ExecutionId, resource::PerResource, window::Extent},
    };

    fn run(query: u128, tick: u64, finished: u64) -> Executed {
        Executed {
            execution: ExecutionId::new(tick, 0),
            query: QueryId(Uuid::from_u128(query)),
            queued_tick: Tick(tick),
            due_tick: Tick(tick),
            tick: Tick(tick),
            finished_tick: Tick(finished),
            reason: String::new(),
            outcome: Outcome::Ok,
            executed_at_ms: 0,
            tenant: None,
            trace: None,
            statement: None,
            answer: None,
        }
    }

    fn window(first: u64, executed: u64) -> Window {
        Window {
            first_tick: Tick(first),
            last_tick: Tick(first + 9),
            usage: PerResource::all(Extent::default()),
            executed,
            in_corridor: false,
            running: 0,
            incomplete: false,
        }
    }

    fn ran(observation: &Observation) -> Vec<(u128, f64)> {
        let runs = observation.ticks.iter().flat_map(|tick| &tick.runs);
        runs.map(|(query, executions)| (query.0.as_u128(), *executions)).collect()
    }

    #[test]
    fn a_window_waits_for_what_it_counts() {
        let mut assembly = Assembly::default();
        assembly.executed(&run(1, 3, 3));
        assembly.window(&window(0, 2));
        assert_eq!(assembly.next(), None);
        assembly.executed(&run(2, 9, 9));
        let observation = assembly.next().unwrap();
        assert_eq!(ran(&observation), [(1, 1.0), (2, 1.0)]);
        assert_eq!(observation.ticks[3].runs.len(), 1);
        assert_eq!(assembly.next(), None);
    }

    #[test]
    fn executions_of_a_missing_window_go_nowhere() {
        let mut assembly = Assembly::default();
        for tick in [5, 15, 25] {
            assembly.executed(&run(u128::from(tick), tick, tick));
        }
        assembly.window(&window(20, 1));
        assert_eq!(ran(&assembly.next().unwrap()), [(25, 1.0)]);
        assert_eq!(
            assembly,
            Assembly { latest: Some(Tick(25)), done: Some(Tick(29)), ..Assembly::default() }
        );
    }

    #[test]
    fn a_window_whose_executions_are_lost_is_given_up_when_later_ones_come() {
        let mut assembly = Assembly::default();
        assembly.window(&window(0, 3));
        assembly.window(&window(10, 1));
        assembly.executed(&run(1, 4, 4));
        assert_eq!(assembly.next(), None);
        assembly.executed(&run(2, 12, 12));
        assert_eq!(ran(&assembly.next().unwrap()), [(2, 1.0)]);
    }

    #[test]
    fn a_long_execution_counts_in_every_tick_that_it_ran_in() {
        let mut assembly = Assembly::default();
        assembly.window(&Window { running: 1, ..window(0, 0) });
        assert_eq!(assembly.next(), None);
        assembly.executed(&run(1, 8, 11));
        assert_eq!(ran(&assembly.next().unwrap()), [(1, 0.25), (1, 0.25)]);
        assembly.window(&window(10, 1));
        let second = assembly.next().unwrap();
        assert_eq!(ran(&second), [(1, 0.25), (1, 0.25)]);
        assert!(second.ticks[2].runs.is_empty());
        assert!(assembly.ended.is_empty());
    }

    #[test]
    fn a_window_in_which_something_ran_too_long_is_given_up_and_others_are_not() {
        let mut assembly = Assembly::default();
        for k in 0..80 {
            assembly.window(&Window { running: u64::from(k < 70), ..window(10 * k, 1 + u64::from(k == 70)) });
        }
        let short = |k: u64| run(2, 10 * k + 1, 10 * k + 1);
        // The long one runs from tick 5 to 705.
        for k in 0..70 {
            assembly.executed(&short(k));
            assert!(k > 60 || assembly.next().is_none());
        }
        assembly.executed(&short(70));
        assembly.executed(&run(1, 5, 705));
        (71..80).for_each(|k| assembly.executed(&short(k)));
        let learned = std::iter::from_fn(|| assembly.next()).map(|observation| ran(&observation).len());
        // Windows whose last tick lies 600 ticks or less before its end; the first ten are given up.
        let expected = (10..80).map(|k| match k {
            ..70 => 11,
            70 => 1 + 6,
            _ => 1,
        });
        assert!(learned.eq(expected));
    }

    #[test]
    fn nothing_is_learned_of_an_incomplete_window_and_nobody_waits_for_what_it_counts() {
        let mut assembly = Assembly::default();
        assembly.window(&Window { incomplete: true, running: 3, ..window(0, 5) });
        assembly.window(&window(10, 1));
        assembly.executed(&run(1, 12, 12));
        assert_eq!(ran(&assembly.next().unwrap()), [(1, 1.0)]);
        assert_eq!(assembly.next(), None);
    }

    #[test]
    fn what_is_learned_does_not_depend_on_how_the_streams_interleave() {
        // Ends are in order; some run through several windows, one for longer than windows wait.
        let mut runs: Vec<_> = (0..200).map(|n| run(u128::from(n % 7), 4 * n, 4 * n + n * n % 37)).collect();
        runs.push(run(9, 13, 790));
        runs.sort_by_key(|run| run.finished_tick);
        let windows = (0..83).map(|k| {
            let (first, last) = (Tick(10 * k), Tick(10 * k + 9));
            let executed = runs.iter().filter(|run| (first..=last).contains(&run.finished_tick)).count();
            let running = runs.iter().filter(|run| run.tick <= last && run.finished_tick > last).count();
            Window { running: running as u64, incomplete: k == 40, ..window(10 * k, executed as u64) }
        });
        let windows: Vec<_> = windows.collect();
        let learn = |ahead: usize| {
            let mut assembly = Assembly::default();
            let (mut learned, mut fed) = (Vec::new(), 0);
            for (k, window) in windows.iter().enumerate() {
                assembly.window(window);
                let until = (runs.len() * k / windows.len() + ahead).min(runs.len());
                for run in &runs[fed.min(until)..until] {
                    assembly.executed(run);
                    learned.extend(std::iter::from_fn(|| assembly.next()));
                    let late: Vec<_> = assembly.late().collect();
                    let bytes = serde_json::to_vec(&assembly).unwrap();
                    assembly = serde_json::from_slice(&bytes).unwrap();
                    assembly.restore_late(&late).unwrap();
                    assembly.check().unwrap();
                }
                fed = fed.max(until);
            }
            runs[fed..].iter().for_each(|run| assembly.executed(run));
            learned.extend(std::iter::from_fn(|| assembly.next()));
            learned
        };
        let reference = learn(0);
        assert!(reference.len() > 50 && reference.len() < 82, "{}", reference.len());
        for ahead in [1, 10, 40, 200] {
            assert_eq!(learn(ahead), reference, "{ahead} executions ahead");
        }
    }

    #[test]
    fn windows_again_overlapping_or_turned_round_are_ignored() {
        let mut assembly = Assembly::default();
        assembly.window(&window(10, 0));
        assert!(assembly.next().is_some());
        for again in [window(10, 0), window(5, 0), window(0, 0)] {
            assembly.window(&again);
        }
        assembly.window(&Window { first_tick: Tick(50), last_tick: Tick(40), ..window(0, 0) });
        assembly.window(&Window { first_tick: Tick(50), last_tick: Tick(u64::MAX), ..window(0, 0) });
        assert_eq!(assembly.next(), None);
    }

    #[test]
    fn what_waits_is_bounded() {
        let mut assembly = Assembly::default();
        for tick in 0..2 * RUNS_MAX as u64 {
            assembly.executed(&run(1, tick, tick));
        }
        assert_eq!(assembly.runs, RUNS_MAX);
        let mut assembly = Assembly::default();
        for k in 0..2 * WINDOWS_MAX as u64 {
            assembly.window(&window(10 * k, 1));
        }
        assert_eq!(assembly.windows.len(), WINDOWS_MAX);
    }
}

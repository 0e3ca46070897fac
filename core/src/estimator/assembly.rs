//! Puts windows together with the executions that they count, however the two streams interleave.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use super::{
    observation::{Observation, TickRuns},
    snapshot::SnapshotError,
};
use crate::{
    journal::Executed,
    units::{ids::QueryId, tick::Tick, window::Window},
};

/// Executions that wait for their window: two minutes at 75 a tick. Beyond it windows must be missing,
/// and the oldest are forgotten.
const RUNS_MAX: usize = 100_000;
/// Windows that wait for their executions: nearly three hours. The windows' stream is the sparser one,
/// so a reader that catches up in batches sees it run ahead.
const WINDOWS_MAX: usize = 10_000;
/// Ticks of a window that is believed.
const WINDOW_TICKS_MAX: u64 = 600;

/// An execution that waits for its window.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
/// Each stream comes in its own order: windows by tick, executions by the tick in which they began. So
/// an execution that began after a window's last tick proves that no further one of that window comes:
/// a window that still lacks some then is given up. What is decided depends on what the streams say
/// and not on how they interleave.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Assembly {
    /// By the tick in which they began; in stream order within it.
    began: BTreeMap<Tick, Vec<Run>>,
    /// Began in a window that is done, and went on after it.
    running: Vec<Run>,
    windows: VecDeque<Window>,
    /// The latest tick in which an execution began.
    latest: Option<Tick>,
    /// Windows up to this tick are done with: applied, given up or missing.
    done: Option<Tick>,
    runs: usize,
}

impl Assembly {
    pub(super) fn executed(&mut self, executed: &Executed) {
        let last_tick = executed.finished_tick.max(executed.tick);
        let run = Run { query: executed.query, first_tick: executed.tick, last_tick };
        self.latest = self.latest.max(Some(executed.tick));
        if self.done.is_some_and(|done| executed.tick <= done) {
            // Its window did not count it, or was given up.
            if self.done < Some(last_tick) && self.running.len() < RUNS_MAX {
                self.running.push(run);
            }
            return;
        }
        self.began.entry(executed.tick).or_default().push(run);
        self.runs += 1;
        while self.runs > RUNS_MAX
            && let Some((_, forgotten)) = self.began.pop_first()
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
            let seen: usize =
                self.began.range(window.first_tick..=window.last_tick).map(|(_, runs)| runs.len()).sum();
            let complete = seen as u64 >= window.executed;
            if !complete && self.latest <= Some(window.last_tick) {
                return None;
            }
            self.windows.pop_front();
            let observation = complete.then(|| self.observation(&window));
            self.finish(window.last_tick);
            if observation.is_some() {
                return observation;
            }
        }
        None
    }

    fn observation(&self, window: &Window) -> Observation {
        let ticks = window.last_tick.since(window.first_tick).saturating_add(1);
        let mut runs = vec![Vec::new(); ticks as usize];
        let earlier = self.began.range(..window.first_tick).flat_map(|(_, runs)| runs);
        let counted = self.began.range(window.first_tick..=window.last_tick).flat_map(|(_, runs)| runs);
        // Should there be more than it counts, the first ones are those that were there when it closed.
        for run in self.running.iter().chain(earlier).chain(counted.take(window.executed as usize)) {
            let from = run.first_tick.max(window.first_tick);
            let to = run.last_tick.min(window.last_tick);
            if from <= to {
                for tick in from.0..=to.0 {
                    runs[(tick - window.first_tick.0) as usize].push((run.query, 1.0 / run.ticks() as f64));
                }
            }
        }
        let ticks = runs.into_iter().map(|runs| TickRuns::new(runs, 1.0)).collect();
        Observation { usage: window.usage, ticks }
    }

    /// Whether a restored one can have been written.
    pub(super) fn check(&self) -> Result<(), SnapshotError> {
        let runs = self.began.iter().flat_map(|(tick, runs)| runs.iter().map(move |run| (*tick, run)));
        let began = runs.clone().all(|(tick, run)| run.first_tick == tick && tick <= run.last_tick);
        let order =
            self.windows.iter().zip(self.windows.iter().skip(1)).all(|(a, b)| a.last_tick < b.first_tick);
        let lengths = self.windows.iter().all(|window| {
            window.first_tick <= window.last_tick
                && window.last_tick.since(window.first_tick) < WINDOW_TICKS_MAX
        });
        let running = self.running.iter().all(|run| run.first_tick <= run.last_tick);
        if runs.count() == self.runs && began && order && lengths && running {
            Ok(())
        } else {
            Err(SnapshotError::Value { what: "waiting window or execution" })
        }
    }

    /// Drops what belongs to windows up to `tick`.
    fn finish(&mut self, tick: Tick) {
        self.done = Some(tick);
        self.running.retain(|run| run.last_tick > tick);
        let later = self.began.split_off(&tick.next());
        for run in std::mem::replace(&mut self.began, later).into_values().flatten() {
            self.runs -= 1;
            if run.last_tick > tick {
                self.running.push(run);
            }
        }
    }
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
        }
    }

    fn window(first: u64, executed: u64) -> Window {
        Window {
            first_tick: Tick(first),
            last_tick: Tick(first + 9),
            usage: PerResource::all(Extent::default()),
            executed,
            in_corridor: false,
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
        assembly.executed(&run(1, 8, 11));
        assembly.window(&window(0, 1));
        assert_eq!(ran(&assembly.next().unwrap()), [(1, 0.25), (1, 0.25)]);
        assembly.window(&window(10, 0));
        let second = assembly.next().unwrap();
        assert_eq!(ran(&second), [(1, 0.25), (1, 0.25)]);
        assert!(second.ticks[2].runs.is_empty());
        assert!(assembly.running.is_empty());
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

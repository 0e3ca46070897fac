//! A load that was recorded, once more under one policy and budget after the other: what each brings, at which delay.
//!
//! ```text
//! recorded arrivals, learned costs ─▶ Twin of each (policy, budget) ─▶ Trace ─▶ Report
//! ```

use std::{collections::BTreeMap, ops::ControlFlow};

use super::{report::Report, trace::Trace};
use crate::{
    estimator::Estimates,
    insight::shadow::{Twin, TwinSettings},
    journal::QueueRecord,
    scheduler::PolicyName,
    server::queue::HoldLimits,
    units::{lengths::Lengths, tick::Tick},
};

/// Budgets that a frontier has, as ticks of mean delay, where 1 is none added.
pub const BUDGETS: [f64; 8] = [1.5, 2.5, 4.0, 8.0, 15.0, 30.0, 60.0, 120.0];

/// One of so many ticks is not counted: the twin begins empty.
const NOT_COUNTED: u64 = 5;

/// Who levels, and the ceiling for the mean delay in ticks; none where nobody levels.
pub type Asked = (PolicyName, Option<f64>);

/// See the module.
#[derive(Clone, Debug)]
pub struct Recorded {
    lengths: Lengths,
    limits: HoldLimits,
    first: Tick,
    /// Whole windows.
    ticks: u64,
    /// In the order of their commits, with ticks counted from `first`.
    events: Vec<QueueRecord>,
}

impl Recorded {
    /// What happened to executions in the ticks from `from` to before `end`: of these the whole windows.
    pub fn new(
        lengths: Lengths,
        limits: HoldLimits,
        (from, end): (Tick, Tick),
        events: impl IntoIterator<Item = QueueRecord>,
    ) -> Self {
        let first = Tick(from.0.next_multiple_of(lengths.window_ticks));
        let ticks = end.since(first) / lengths.window_ticks * lengths.window_ticks;
        let within = |event: &QueueRecord| (first.0..first.0 + ticks).contains(&event.tick.0);
        let moved = |event: QueueRecord| QueueRecord {
            tick: Tick(event.tick.since(first)),
            due_tick: Tick(event.due_tick.since(first)),
            ..event
        };
        let events = events.into_iter().filter(within).map(moved).collect();
        Self { lengths, limits, first, ticks, events }
    }

    /// Its first tick.
    pub fn first(&self) -> Tick {
        self.first
    }

    /// How long it is.
    pub fn ticks(&self) -> u64 {
        self.ticks
    }

    /// The first tick that is counted.
    pub fn counted_from(&self) -> Tick {
        self.first.after(self.not_counted())
    }

    fn not_counted(&self) -> u64 {
        (self.ticks / NOT_COUNTED).next_multiple_of(self.lengths.window_ticks).min(self.ticks)
    }

    /// Runs it at these costs; `on_tick` is called after each tick and may end it, which leaves nothing to report.
    pub fn run(
        &self,
        (policy, delay_budget): Asked,
        estimates: &Estimates,
        mut on_tick: impl FnMut() -> ControlFlow<()>,
    ) -> Option<Report> {
        let Self { lengths, ref limits, .. } = *self;
        let settings = TwinSettings { policy, delay_budget, limits: limits.clone(), lengths };
        let mut twin = Twin::new(settings, Tick(0));
        let mut trace = Trace { lengths, from: Tick(self.not_counted()), ..Trace::default() };
        let mut events = self.events.iter().peekable();
        for tick in (0..self.ticks).map(Tick) {
            while let Some(event) = events.next_if(|event| event.tick <= tick) {
                twin.event(event);
            }
            let (ticked, said) = twin.step(estimates);
            trace.tick(ticked.usage, &ticked.executed);
            if let Some(said) = said {
                trace.decided(said);
            }
            if on_tick().is_break() {
                return None;
            }
        }
        let waiting: Vec<_> = twin.waiting().collect();
        Some(trace.report(Tick(self.ticks), &waiting, None, &BTreeMap::new()))
    }
}

/// What is asked one after the other, and what came of it: nobody, evenkeel, and the simplest rule that cuts peaks.
#[derive(Clone, Debug)]
pub struct Sweep {
    rows: Vec<(Asked, Report)>,
    waiting: Vec<Asked>,
}

impl Sweep {
    /// Of a database with ticks and windows of these lengths.
    pub fn new(lengths: Lengths) -> Self {
        // Delay that executions have without anybody's doing, beyond one tick.
        let unasked = (lengths.default_delay_ticks - 1) as f64;
        let of = |policy| BUDGETS.map(|budget| (policy, Some(unasked + budget)));
        // The next one comes last.
        let mut waiting = vec![(PolicyName::None, None)];
        waiting.extend(of(PolicyName::Evenkeel));
        waiting.extend(of(PolicyName::LeastLoaded));
        waiting.reverse();
        Self { rows: Vec::new(), waiting }
    }

    /// What is to be run next; none when all is known.
    pub fn next(&self) -> Option<Asked> {
        self.waiting.last().copied()
    }

    /// Those that are still to be run, at the most.
    pub fn left(&self) -> usize {
        self.waiting.len()
    }

    /// Notes what came of [`Sweep::next`].
    pub fn found(&mut self, report: Report) {
        let Some(asked) = self.waiting.pop() else { return };
        let before = self.rows.last().filter(|((policy, _), _)| *policy == asked.0);
        // A ceiling that is not used up gives the same as all above it.
        let enough = before.is_some_and(|(_, before)| *before == report);
        if let (true, (_, Some(most))) = (enough, asked) {
            // The other rule has no knee: past this delay nobody would compare.
            self.waiting
                .retain(|(policy, budget)| *policy != asked.0 && budget.is_none_or(|budget| budget <= most));
        }
        self.rows.push((asked, report));
    }

    /// What came of each that was run, in this order.
    pub fn rows(&self) -> &[(Asked, Report)] {
        &self.rows
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::{
        estimator::Estimator,
        journal::Record,
        simulate::{Costs, Simulation},
        world::{Scenario, World},
    };

    /// Nobody levels `x10`; what that leaves of its last ticks, and costs as they are known then.
    fn recorded() -> (Recorded, Estimator) {
        let simulation = Simulation {
            world: World::new(Scenario::X10.parameters(), 1).unwrap(),
            policy: PolicyName::None,
            costs: Costs::Learned,
            delay_budget: None,
            limits: HoldLimits::default(),
            warm_up_ticks: 0,
            ticks: 4_005,
        };
        let (mut events, mut estimator) = (Vec::new(), Estimator::default());
        simulation.run_watched(|after| {
            for record in &after.commit.records {
                estimator.apply(record);
                if let Record::Queue(event) = record {
                    events.push(event.clone());
                }
            }
            ControlFlow::Continue(())
        });
        let lengths = Lengths::default();
        let span = (Tick(2_003), Tick(4_005));
        (Recorded::new(lengths, HoldLimits::default(), span, events), estimator)
    }

    fn run(recorded: &Recorded, estimator: &Estimator, asked: Asked) -> Report {
        recorded.run(asked, estimator.estimates(), || ControlFlow::Continue(())).unwrap()
    }

    #[test]
    fn a_load_that_nobody_levelled_shows_what_each_budget_brings() {
        let (recorded, estimator) = recorded();
        assert_eq!((recorded.first(), recorded.ticks()), (Tick(2_010), 1_990));
        assert_eq!(recorded.counted_from(), Tick(2_410));
        let none = run(&recorded, &estimator, (PolicyName::None, None));
        assert_eq!((none.windows, none.delay_ticks.max), (159, 1));
        assert!(none.in_corridor < 0.02 && none.peak_to_mean_60s > 1.4, "{none:?}");
        let least = run(&recorded, &estimator, (PolicyName::LeastLoaded, Some(4.0)));
        let own = run(&recorded, &estimator, (PolicyName::Evenkeel, Some(4.0)));
        assert!(own.in_corridor > 0.95 && own.delay_ticks.mean < 4.3, "{own:?}");
        assert!(least.in_corridor < own.in_corridor && own.peak_to_mean_60s < least.peak_to_mean_60s);
        assert!(least.peak_to_mean_60s < none.peak_to_mean_60s, "{least:?}");
    }

    #[test]
    fn who_has_waited_enough_gets_no_report() {
        let (recorded, estimator) = recorded();
        let mut ticks = 0;
        let asked = (PolicyName::Evenkeel, Some(4.0));
        let ended = recorded.run(asked, estimator.estimates(), || {
            ticks += 1;
            if ticks == 7 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        assert_eq!((ended, ticks), (None, 7));
    }

    fn report(mean: f64) -> Report {
        Report {
            windows: 1,
            in_corridor: 0.0,
            any_alignment: 0.0,
            peak_to_mean_60s: 1.0,
            delay_ticks: crate::simulate::DelayTicks { mean, ..Default::default() },
            pending_end: 0,
            estimate_error: None,
            feasible_share: 0.0,
            only_peaks_share: 0.0,
            binding: None,
        }
    }

    /// What is asked when evenkeel spends `most` ticks at the most.
    fn asked(lengths: Lengths, most: f64) -> Vec<Asked> {
        let mut sweep = Sweep::new(lengths);
        let mut left = BTreeSet::new();
        while let Some((policy, budget)) = sweep.next() {
            assert!(left.insert(std::cmp::Reverse(sweep.left())), "it ends");
            let spent = budget.unwrap_or(1.0);
            sweep.found(report(if policy == PolicyName::Evenkeel { spent.min(most) } else { spent }));
        }
        sweep.rows().iter().map(|(asked, _)| *asked).collect()
    }

    #[test]
    fn budgets_rise_until_they_are_not_used_up() {
        let all = asked(Lengths::default(), f64::INFINITY);
        assert_eq!(all.len(), 17);
        assert_eq!(all[..2], [(PolicyName::None, None), (PolicyName::Evenkeel, Some(1.5))]);
        assert_eq!(all[16], (PolicyName::LeastLoaded, Some(120.0)));
        let few = asked(Lengths::default(), 3.8);
        let of = |policy| BUDGETS[..4].iter().map(move |budget| (policy, Some(*budget)));
        let own = of(PolicyName::Evenkeel).chain(of(PolicyName::LeastLoaded));
        assert_eq!(few[1..], own.collect::<Vec<_>>(), "8 ticks bring what 4 do");
    }

    #[test]
    fn what_nobody_asked_for_is_delay_of_every_row() {
        let lengths = Lengths { default_delay_ticks: 5, ..Lengths::default() };
        assert_eq!(asked(lengths, f64::INFINITY)[1], (PolicyName::Evenkeel, Some(5.5)));
    }
}

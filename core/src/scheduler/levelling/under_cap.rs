//! Where the delay that is allowed is too small for the corridor: as much as waits runs in every tick, up to a
//! cap that is as low as the delay allows. Peaks are cut, and nobody waits without need.

use std::collections::BTreeMap;

use super::{
    PLANNED_TICKS, Planning,
    cap::Cap,
    carry::{Carry, Slot},
    late::Late,
    reason, stock, take,
    units::{Units, sum},
};
use crate::{
    scheduler::problem::{Binding, Feasibility},
    units::tick::Tick,
};

impl Planning<'_> {
    pub(super) fn under_cap(&mut self, carry: &Carry, late: Late, binding: Binding) -> Carry {
        let delay = stock::cap_ticks(&self.settings, self.problem.delay_budget).min(self.delay_ticks());
        let cap = Cap::fresh(carry.cap, self.next(), &self.load, &mut self.kinds, delay);
        let committed = late.usually(self.problem.tick);
        let (mut waiting, mut slots) = (self.items.clone(), BTreeMap::new());
        for (n, tick) in (self.next().0..).map(Tick).take(PLANNED_TICKS).enumerate() {
            let chosen = if committed && n == 0 {
                // What this plan says of the next tick comes too late: what was said before stands.
                carry.planned(tick, &waiting)
            } else {
                self.up_to(cap, delay, tick, &waiting)
            };
            let runs = take(&mut waiting, &chosen);
            let sums = sum(runs.iter().map(|item| item.cost));
            for item in &runs {
                let reason = if item.deadline <= tick {
                    reason::deadline()
                } else {
                    reason::under_cap(runs.len() - 1, sums, cap.over_mean, binding)
                };
                slots.insert(item.execution, Slot { tick, reason });
            }
        }
        Carry { cap: Some(cap), ..self.carry(Feasibility::only_peaks(binding), slots) }
    }

    /// Places in `waiting` of what runs in `tick`.
    fn up_to(&self, cap: Cap, delay: f64, tick: Tick, waiting: &[super::Item]) -> Vec<usize> {
        let work = self.load.work;
        let over = |cost: Units| std::array::from_fn(|r| cost[r] / work[r].max(f64::MIN_POSITIVE));
        let ready = || waiting.iter().enumerate().filter(|(_, item)| item.earliest <= tick);
        let forced = ready().filter(|(_, item)| item.deadline <= tick);
        let start = sum(forced.clone().map(|(_, item)| over(item.cost)));
        let (free, costs): (Vec<usize>, Vec<Units>) =
            ready().filter(|(_, item)| item.deadline > tick).map(|(n, item)| (n, over(item.cost))).unzip();
        let chosen = cap.choose(self.load.rate, delay, start, &costs);
        forced.map(|(n, _)| n).chain(chosen.into_iter().map(|place| free[place])).collect()
    }
}

//! One tick that is filled up to a cap, which no resource passes.

use super::units::{Units, minus, plus};

/// Steps of the local search: each brings one execution in, or one in for another.
const STEPS_MAX: usize = 12;
/// Candidates from which on there are no exchanges: many executions fill a tick to the brim without them.
const EXCHANGED_MAX: usize = 60;
/// What an exchange must bring, over the mean of a tick and summed over resources: the oldest come first
/// unless others fill much better.
const GAIN_MIN: f64 = 0.05;

/// Which of `costs`, which come in the order of preference, run in a tick of which `start` is taken already.
/// The first always runs when nothing else does: whatever waits comes to the front, and nothing waits for ever.
/// Costs, `start` and `cap` are over what arrives a tick, so that one number is the cap of all resources.
pub(super) fn fill(cap: f64, start: Units, costs: &[Units]) -> Vec<usize> {
    let mut sum = start;
    let mut chosen = vec![false; costs.len()];
    for (place, cost) in costs.iter().enumerate() {
        let after = plus(sum, *cost);
        if largest(after) <= cap || place == 0 && largest(start) <= 0.0 {
            chosen[place] = true;
            sum = after;
        }
    }
    let steps = if costs.len() > EXCHANGED_MAX { 0 } else { STEPS_MAX };
    for _ in 0..steps {
        let Some((out, into)) = best_step(cap, costs, &chosen, sum) else { break };
        if let Some(out) = out {
            chosen[out] = false;
            sum = minus(sum, costs[out]);
        }
        chosen[into] = true;
        sum = plus(sum, costs[into]);
    }
    (0..costs.len()).filter(|place| chosen[*place]).collect()
}

/// (out, in): the change that fills the tick best, if any does. The first stays.
fn best_step(cap: f64, costs: &[Units], chosen: &[bool], sum: Units) -> Option<(Option<usize>, usize)> {
    let (inside, outside): (Vec<usize>, Vec<usize>) = (0..costs.len()).partition(|place| chosen[*place]);
    let mut best = (GAIN_MIN, None);
    for out in inside.into_iter().filter(|place| *place > 0).map(Some).chain([None]) {
        let without = out.map_or(sum, |out| minus(sum, costs[out]));
        let given_up = out.map_or(0.0, |out| total(costs[out]));
        for &into in &outside {
            let gain = total(costs[into]) - given_up;
            if gain > best.0 && largest(plus(without, costs[into])) <= cap {
                best = (gain, Some((out, into)));
            }
        }
    }
    best.1
}

fn largest(of: Units) -> f64 {
    of.into_iter().fold(0.0, f64::max)
}

fn total(of: Units) -> f64 {
    of.into_iter().sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        chance::{Dice, unit},
        scheduler::levelling::units::sum,
    };

    #[test]
    fn what_is_larger_than_the_cap_runs_alone() {
        assert_eq!(fill(1.0, [0.0; 3], &[[1.4; 3], [0.3; 3]]), [0]);
        assert_eq!(fill(1.0, [0.9; 3], &[[1.4; 3], [0.05; 3]]), [1], "beside what has to run it waits");
    }

    /// Of all subsets that hold the oldest and stay below the cap, the one that is found is nearly the fullest.
    #[test]
    fn ticks_are_full_and_stay_below_the_cap() {
        let mut dice = Dice::new(5);
        let mut filled = 0.0;
        for _ in 0..200 {
            let costs: Vec<Units> = (0..10).map(|_| [0; 3].map(|_| 0.4 + 0.5 * unit(&mut dice))).collect();
            let of = |set: &[usize]| sum(set.iter().map(|place| costs[*place]));
            let found = of(&fill(1.5, [0.0; 3], &costs));
            assert!(largest(found) <= 1.5, "{found:?}");
            let sets = (0..1_usize << costs.len()).filter(|set| set & 1 == 1);
            let sums = sets.map(|set| {
                let places: Vec<usize> = (0..costs.len()).filter(|place| set >> place & 1 == 1).collect();
                of(&places)
            });
            let fullest = sums.filter(|sums| largest(*sums) <= 1.5).map(total).fold(0.0, f64::max);
            filled += total(found) / fullest / 200.0;
        }
        assert!(filled >= 0.95, "{filled}");
    }
}

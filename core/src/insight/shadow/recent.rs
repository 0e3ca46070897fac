//! Tallies of the last hour and the last day.

use std::collections::VecDeque;

use super::tally::Tally;
use crate::{journal::Record, units::lengths::Lengths};

const MINUTE_MS: u64 = 60_000;
/// Parts of an hour: ten minutes each, so that "an hour" is fifty minutes at least.
const HOUR: (u64, usize) = (10 * MINUTE_MS, 6);
/// Parts of a day: an hour each.
const DAY: (u64, usize) = (60 * MINUTE_MS, 24);

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct Recent {
    lengths: Lengths,
    hour: Parts,
    day: Parts,
}

/// The latest stretches of one length.
#[derive(Clone, Debug)]
struct Parts {
    ticks: u64,
    most: usize,
    /// With the number of each, counted from tick 0; oldest first.
    tallies: VecDeque<(u64, Tally)>,
}

impl Recent {
    pub(super) fn new(lengths: Lengths) -> Self {
        let parts = |(ms, most)| Parts { ticks: lengths.ticks_in_ms(ms), most, tallies: VecDeque::new() };
        Self { lengths, hour: parts(HOUR), day: parts(DAY) }
    }

    pub(super) fn apply(&mut self, record: &Record) {
        for parts in [&mut self.hour, &mut self.day] {
            if let Some(tally) = parts.of(record) {
                tally.apply(record, self.lengths);
            }
        }
    }

    pub(super) fn hour(&self) -> Tally {
        self.hour.whole()
    }

    pub(super) fn day(&self) -> Tally {
        self.day.whole()
    }
}

impl Parts {
    /// The part that an entry counts in; none when that has been forgotten.
    fn of(&mut self, record: &Record) -> Option<&mut Tally> {
        let tick = match record {
            Record::Executed(executed) => executed.tick,
            Record::Queue(event) => event.tick,
            Record::Window(window) => window.first_tick,
        };
        let number = tick.0 / self.ticks;
        if self.tallies.back().is_none_or(|(last, _)| *last < number) {
            self.tallies.push_back((number, Tally::default()));
            if self.tallies.len() > self.most {
                self.tallies.pop_front();
            }
        }
        self.tallies.iter_mut().rev().find(|(of, _)| *of == number).map(|(_, tally)| tally)
    }

    fn whole(&self) -> Tally {
        let mut whole = Tally::default();
        self.tallies.iter().for_each(|(_, tally)| whole.merge(tally));
        whole
    }
}

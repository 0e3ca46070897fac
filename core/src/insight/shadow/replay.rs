//! A recorded journal once more: as it was, and as it would have been under other policies and budgets.

use super::{
    tally::Tally,
    twin::{Twin, TwinSettings},
};
use crate::{
    estimator::Estimator,
    journal::Record,
    units::{lengths::Lengths, tick::Tick},
};

/// Folds a journal into what it came to, and into what it would have come to in each twin.
///
/// Costs are learned on the way, as live. Entries come in the order of [`Record::committed`]; each tick is run in the
/// twins when the first entry of a later one comes.
pub struct Replay {
    lengths: Lengths,
    counted_from: Tick,
    estimator: Estimator,
    /// The tick whose entries are coming.
    at: Tick,
    actual: Tally,
    twins: Vec<(Twin, Tally)>,
}

impl Replay {
    /// A replay that begins with tick `from`, in a twin for each of `settings`. What happened before `counted_from`
    /// teaches, and is not counted.
    pub fn new(
        lengths: Lengths,
        settings: impl IntoIterator<Item = TwinSettings>,
        from: Tick,
        counted_from: Tick,
    ) -> Self {
        // A twin begins with a window.
        let counted_from = counted_from.max(Tick(from.0.next_multiple_of(lengths.window_ticks)));
        let twins = settings.into_iter().map(|settings| (Twin::new(settings, from), Tally::default()));
        Self {
            lengths,
            counted_from,
            estimator: Estimator::default(),
            at: from,
            actual: Tally::default(),
            twins: twins.collect(),
        }
    }

    /// Applies the next entry.
    pub fn apply(&mut self, record: &Record) {
        let at = record.committed();
        if at > self.at {
            self.run(Tick(at.0 - 1));
            self.at = at;
        }
        self.estimator.apply(record);
        if let Record::Queue(event) = record {
            self.twins.iter_mut().for_each(|(twin, _)| twin.event(event));
        }
        count(&mut self.actual, record, self.counted_from, self.lengths);
    }

    /// The first tick that is counted.
    pub fn counted_from(&self) -> Tick {
        self.counted_from
    }

    /// The tick whose entries are coming.
    pub fn at(&self) -> Tick {
        self.at
    }

    fn run(&mut self, through: Tick) {
        let estimates = self.estimator.estimates();
        for (twin, tally) in &mut self.twins {
            while twin.next() <= through {
                let (records, _) = twin.run(estimates);
                for record in &records {
                    count(tally, record, self.counted_from, self.lengths);
                }
            }
        }
    }

    /// What the journal came to, and what each twin did, in the order of their settings.
    pub fn finish(mut self) -> (Tally, Vec<Tally>) {
        self.run(self.at);
        (self.actual, self.twins.into_iter().map(|(_, tally)| tally).collect())
    }
}

fn count(tally: &mut Tally, record: &Record, from: Tick, lengths: Lengths) {
    let began = match record {
        Record::Executed(executed) => executed.tick,
        Record::Queue(event) => event.tick,
        Record::Window(window) => window.first_tick,
    };
    if began >= from {
        tally.apply(record, lengths);
    }
}

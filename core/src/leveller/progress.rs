//! How far a client is with applying entries and saving what it made of them.
//!
//! ```text
//! restore ─▶ restored ─▶ read ─▶ applied … ─▶ save ─▶ saved
//!    ▲                     └ failed, fenced, source ended ┐
//!    └────────────────────────────────────────────────────┘
//! ```
//!
//! Invariant: positions name exactly the entries that were applied, so a state that is collected between two batches
//! and these positions are one value. What belongs to an earlier recovery changes nothing.

use super::suspects::Suspects;
use crate::journal::{Entry, Positions};

/// See the module.
#[derive(Debug, Default)]
pub struct Progress {
    positions: Positions,
    suspects: Suspects,
    /// Counts recoveries: what an older one still delivers is ignored.
    generation: u64,
    /// Whether the state is being saved for good.
    ending: bool,
    unsaved_entries: usize,
    saving: bool,
}

impl Progress {
    /// Everything begins again with the durable state; the generation of what follows.
    pub fn restore(&mut self) -> u64 {
        self.generation += 1;
        self.saving = false;
        self.generation
    }

    /// Whether what `generation` brings still counts.
    pub fn counts(&self, generation: u64) -> bool {
        generation == self.generation
    }

    /// Whether entries of `generation` are still taken.
    pub fn takes(&self, generation: u64) -> bool {
        self.counts(generation) && !self.ending
    }

    /// Everybody has been restored to the state at `positions`.
    pub fn restored(&mut self, positions: Positions) {
        self.positions = positions;
        self.unsaved_entries = 0;
    }

    /// No further entries are taken: the state is saved for good.
    pub fn end(&mut self) {
        self.ending = true;
    }

    /// The last applied id of each stream.
    pub fn positions(&self) -> Positions {
        self.positions
    }

    /// The current generation.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// What was read, in the parts in which it is to be applied, one after the other; never none.
    pub fn read(&self, entries: Vec<Entry>) -> Vec<Vec<Entry>> {
        self.suspects.parts(entries)
    }

    /// Everybody has applied these entries.
    pub fn applied(&mut self, part: &[Entry]) {
        for entry in part {
            self.positions.advance(entry.record.stream(), entry.id);
        }
        self.unsaved_entries += part.len();
    }

    /// Somebody failed on `part`. The entry that is to be set aside, if it is clear which one.
    pub fn failed<'a>(&mut self, part: &'a [Entry]) -> Option<&'a Entry> {
        self.suspects.failed(part)
    }

    /// Whether the state should be saved, the last time being `long_ago` or `entries_max` entries back.
    pub fn save_is_due(&self, long_ago: bool, entries_max: usize) -> bool {
        let due = long_ago || self.unsaved_entries >= entries_max;
        due && self.unsaved_entries > 0 && !self.saving
    }

    /// A collected state is on its way to be saved.
    pub fn save(&mut self) {
        self.saving = true;
        self.unsaved_entries = 0;
    }

    /// It has been saved, or not.
    pub fn saved(&mut self) {
        self.saving = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        journal::{EntryId, QueueEvent, QueueRecord, Record, Stream},
        units::{
            ids::{ExecutionId, QueryId},
            tick::Tick,
        },
    };

    fn entry(n: u64) -> Entry {
        let record = QueueRecord {
            event: QueueEvent::Queued,
            execution: ExecutionId::new(1, n.into()),
            query: QueryId::simulated(1, 0),
            tick: Tick(n),
            due_tick: Tick(n + 1),
            added_ticks: 0,
            statement: None,
        };
        Entry {
            id: EntryId { ms: 1, n },
            seq: n,
            version: crate::journal::FORMAT,
            record: Record::Queue(record),
        }
    }

    #[test]
    fn what_an_earlier_recovery_brings_counts_no_more() {
        let mut progress = Progress::default();
        let first = progress.restore();
        assert!(progress.counts(first) && progress.takes(first));
        let second = progress.restore();
        assert_eq!((second, progress.generation()), (first + 1, second));
        assert!(!progress.counts(first) && !progress.takes(first));
        assert!(progress.counts(second) && progress.takes(second));
        assert!(!progress.counts(second + 1));
    }

    #[test]
    fn once_it_ends_nothing_is_taken_and_what_is_under_way_still_counts() {
        let mut progress = Progress::default();
        let generation = progress.restore();
        progress.end();
        assert!(progress.counts(generation));
        assert!(!progress.takes(generation));
        let later = progress.restore();
        assert!(!progress.takes(later), "a recovery at the end takes nothing either");
    }

    #[test]
    fn a_save_that_a_recovery_cut_short_holds_up_no_other() {
        let mut progress = Progress::default();
        progress.restore();
        progress.applied(&[entry(1)]);
        progress.save();
        progress.applied(&[entry(2)]);
        assert!(!progress.save_is_due(true, 1), "one is on its way");
        progress.restore();
        progress.applied(&[entry(2)]);
        assert!(progress.save_is_due(true, 1));
    }

    #[test]
    fn a_save_is_due_by_time_or_by_entries_and_never_without_any() {
        let mut progress = Progress::default();
        assert!(!progress.save_is_due(true, 0));
        progress.applied(&[entry(1), entry(2)]);
        assert!(progress.save_is_due(true, 9));
        assert!(progress.save_is_due(false, 2));
        assert!(!progress.save_is_due(false, 3));
        progress.applied(&[entry(3)]);
        assert!(progress.save_is_due(false, 3), "entries of several batches count together");
        progress.save();
        assert!(!progress.save_is_due(true, 1));
        progress.saved();
        assert!(!progress.save_is_due(true, 1), "all that was applied is saved");
        progress.applied(&[entry(4)]);
        assert!(progress.save_is_due(true, 9));
    }

    #[test]
    fn positions_are_what_was_restored_and_then_what_was_applied() {
        let mut progress = Progress::default();
        progress.applied(&[entry(3), entry(4)]);
        assert_eq!(progress.positions().get(Stream::Queue), EntryId { ms: 1, n: 4 });
        let mut durable = Positions::default();
        durable.advance(Stream::Queue, EntryId { ms: 1, n: 2 });
        progress.restored(durable);
        assert_eq!(progress.positions(), durable);
        assert!(!progress.save_is_due(true, 0), "what was restored needs no saving");
    }

    #[test]
    fn who_failed_on_a_batch_reads_it_one_by_one() {
        let mut progress = Progress::default();
        assert_eq!(progress.read(vec![entry(1), entry(2)]), [[entry(1), entry(2)]]);
        assert_eq!(progress.failed(&[entry(1), entry(2)]), None);
        assert_eq!(progress.read(vec![entry(1), entry(2)]), [vec![entry(1)], vec![entry(2)], vec![]]);
        for _ in 0..2 {
            assert_eq!(progress.failed(&[entry(1)]), None);
        }
        assert_eq!(progress.failed(&[entry(1)]), Some(&entry(1)));
    }
}

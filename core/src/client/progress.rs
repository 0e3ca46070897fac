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

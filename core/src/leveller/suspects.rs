//! Entries that may be what an actor fails on: applied alone, and set aside after three failures.

use std::collections::{BTreeMap, BTreeSet};

use crate::journal::{Entry, EntryId, Positions, Stream};

/// Failures alone after which an entry is set aside: fewer than end the process within a minute.
const FAILURES_MAX: u32 = 3;

/// What is known of failures. A batch that failed is applied entry by entry the next time; that an entry was
/// delivered often, or stood in such a batch, condemns nothing.
#[derive(Debug, Default)]
pub(super) struct Suspects {
    /// Up to here entries are applied one by one.
    until: Positions,
    failures: BTreeMap<(Stream, EntryId), u32>,
    buried: BTreeSet<(Stream, EntryId)>,
}

impl Suspects {
    /// `entries` in the parts in which they are to be applied, without those that were set aside.
    pub(super) fn parts(&self, mut entries: Vec<Entry>) -> Vec<Vec<Entry>> {
        if self.until == Positions::default() {
            return vec![entries];
        }
        entries.retain(|entry| !self.buried.contains(&key(entry)));
        let (suspects, others): (Vec<_>, Vec<_>) =
            entries.into_iter().partition(|entry| entry.id <= self.until.get(entry.record.stream()));
        suspects.into_iter().map(|entry| vec![entry]).chain([others]).collect()
    }

    /// An actor failed on `part`. The entry that is to be set aside now, if it is clear which one.
    pub(super) fn failed<'a>(&mut self, part: &'a [Entry]) -> Option<&'a Entry> {
        for entry in part {
            self.until.advance(entry.record.stream(), entry.id);
        }
        let [alone] = part else { return None };
        let failures = self.failures.entry(key(alone)).or_default();
        *failures += 1;
        if *failures < FAILURES_MAX {
            return None;
        }
        self.failures.remove(&key(alone));
        self.buried.insert(key(alone));
        Some(alone)
    }
}

fn key(entry: &Entry) -> (Stream, EntryId) {
    (entry.record.stream(), entry.id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        journal::{QueueEvent, QueueRecord, Record},
        units::{
            ids::{ExecutionId, QueryId},
            tick::Tick,
        },
    };

    fn entries(ids: std::ops::Range<u64>) -> Vec<Entry> {
        let entry = |n| Entry {
            id: EntryId { ms: 1, n },
            seq: n + 1,
            version: crate::journal::FORMAT,
            record: Record::Queue(QueueRecord {
                event: QueueEvent::Queued,
                execution: ExecutionId::new(1, n.into()),
                query: QueryId::simulated(1, 0),
                tick: Tick(n),
                due_tick: Tick(n + 1),
                added_ticks: 0,
                statement: None,
            }),
        };
        ids.map(entry).collect()
    }

    #[test]
    fn without_failures_all_are_applied_at_once() {
        assert_eq!(Suspects::default().parts(entries(0..5)), [entries(0..5)]);
    }

    #[test]
    fn a_failed_batch_is_applied_one_by_one_and_what_follows_it_at_once() {
        let mut suspects = Suspects::default();
        assert_eq!(suspects.failed(&entries(0..3)), None);
        let parts = suspects.parts(entries(0..6));
        assert_eq!(parts, [entries(0..1), entries(1..2), entries(2..3), entries(3..6)]);
    }

    #[test]
    fn the_third_failure_alone_sets_an_entry_aside_and_no_other() {
        let mut suspects = Suspects::default();
        for _ in 0..9 {
            assert_eq!(suspects.failed(&entries(0..3)), None, "in company nothing is clear");
        }
        let guilty = entries(1..2);
        assert_eq!(suspects.failed(&guilty), None);
        assert_eq!(suspects.failed(&guilty), None);
        assert_eq!(suspects.failed(&guilty), Some(&guilty[0]));
        assert_eq!(suspects.parts(entries(0..3)), [entries(0..1), entries(2..3), vec![]]);
    }
}

//! The outbox as a state machine: what a commit makes durable, what a power cut leaves, what shipping reads.
//!
//! The outbox' own checks ([`Numbering`], the revision, the queue's rows) are done as `outbox::Outbox` does them;
//! the test below holds one against the other.

use std::collections::BTreeMap;

#[cfg(feature = "mutants")]
use evenkeel_core::mutant::{self, Mutant};
use evenkeel_core::{
    journal::{
        Commit, Entry, EntryId, Numbering, PerStream, Positions, QueryText, QueueChange, Queued, Record,
        Recovered, Released, ReleasedChange, ServerState, Stream,
    },
    units::{ids::ExecutionId, lengths::Lengths, tick::Tick},
};

use super::world;
use crate::{
    ports::history::ReadError,
    stores::{outbox::Since, redis::backlog::Backlog},
};

/// Everything but the entries.
#[derive(Clone, Debug, Default)]
pub(super) struct Head {
    pub(super) revision: u64,
    numbering: Numbering,
    pub(super) state: ServerState,
    pub(super) queue: BTreeMap<ExecutionId, Queued>,
    pub(super) released: BTreeMap<ExecutionId, Released>,
    /// Entries of each stream.
    lengths: PerStream<usize>,
    /// The first execution of the last tick: it is started again.
    batch_begins: usize,
}

#[derive(Debug, Default)]
pub(super) struct Disk {
    pub(super) head: Head,
    /// What a power cut leaves.
    synced: Head,
    /// All that was ever recorded; those before `first` have been removed.
    pub(super) entries: PerStream<Vec<Entry>>,
    first: PerStream<usize>,
    shipped: PerStream<usize>,
    pub(super) writer_epoch: u64,
}

impl Disk {
    /// Makes a commit durable; false when it is refused.
    pub(super) fn commit(&mut self, commit: Commit) -> bool {
        let Commit { recovery: _, revision, at_ms, records, queue, released, texts: _, state, patient: _ } =
            commit;
        if revision != self.head.revision + 1 {
            return false;
        }
        self.head.revision = revision;
        if state.next_tick != self.head.state.next_tick {
            self.head.batch_begins = self.entries[Stream::Executions].len();
        }
        self.head.state = state;
        for change in queue {
            match change {
                QueueChange::Put(queued) => drop(self.head.queue.insert(queued.execution, queued)),
                QueueChange::Remove(execution) => drop(self.head.queue.remove(&execution)),
            }
        }
        for change in released {
            match change {
                ReleasedChange::Put(row) => drop(self.head.released.insert(row.execution, row)),
                ReleasedChange::Remove(execution) => drop(self.head.released.remove(&execution)),
            }
        }
        for record in records {
            let entry = self.head.numbering.number(record, at_ms);
            self.entries[entry.record.stream()].push(entry);
        }
        self.head.lengths = PerStream::from_fn(|stream| self.entries[stream].len());
        #[cfg(feature = "mutants")]
        if mutant::is(Mutant::NoFsync) {
            return true;
        }
        self.sync();
        true
    }

    pub(super) fn sync(&mut self) {
        self.synced = self.head.clone();
    }

    /// What was not synced is gone.
    pub(super) fn power_cut(&mut self) {
        self.head = self.synced.clone();
        for stream in Stream::ALL {
            self.entries[stream].truncate(self.head.lengths[stream]);
        }
    }

    pub(super) fn recover(&self) -> Recovered {
        let Head { revision, state, queue, released, batch_begins, .. } = &self.head;
        let batch = self.entries[Stream::Executions][*batch_begins..].iter().filter_map(|entry| match &entry
            .record
        {
            Record::Executed(executed) => Some(executed.clone()),
            _ => None,
        });
        Recovered {
            recovery: 0,
            revision: *revision,
            state: state.clone(),
            queue: queue.values().copied().collect(),
            released: released.values().cloned().collect(),
            last_batch: batch.collect(),
        }
    }

    pub(super) fn mark_shipped(&mut self, last: &Positions) {
        for stream in Stream::ALL {
            self.shipped[stream] = self.entries[stream].partition_point(|entry| entry.id <= last.get(stream));
        }
    }

    /// Keeps the last `keep` entries of each stream, and what is not shipped or may be started again.
    pub(super) fn trim(&mut self, keep: usize) {
        for stream in Stream::ALL {
            let length = self.entries[stream].len();
            let mut target =
                length.saturating_sub(keep).min(self.shipped[stream]).min(length.saturating_sub(1));
            if stream == Stream::Executions {
                target = target.min(self.head.batch_begins);
            }
            self.first[stream] = target.max(self.first[stream]);
        }
    }

    fn kept(&self, stream: Stream) -> &[Entry] {
        &self.entries[stream][self.first[stream]..]
    }

    fn since(&self, after: &Positions, limit: usize) -> Since {
        let entries = PerStream::from_fn(|stream| {
            let kept = self.kept(stream);
            let begin = kept.partition_point(|entry| entry.id <= after.get(stream));
            kept[begin..].iter().take(limit).cloned().collect::<Vec<_>>()
        });
        let more = Stream::ALL.iter().any(|&stream| entries[stream].len() == limit);
        Since { entries, next_tick: self.head.state.next_tick, more }
    }

    fn entry(&self, stream: Stream, id: EntryId) -> Option<Entry> {
        let kept = self.kept(stream);
        kept.binary_search_by_key(&id, |entry| entry.id).ok().map(|at| kept[at].clone())
    }

    fn end(&self, stream: Stream) -> (EntryId, u64, u64) {
        let numbering = &self.head.numbering;
        (numbering.last_id(stream), numbering.last_seq(stream), self.first[stream] as u64 + 1)
    }

    /// Entries of each stream that a tick up to `told` recorded.
    pub(super) fn told(&self, told: Tick, uncertain: bool) -> PerStream<usize> {
        PerStream::from_fn(|stream| {
            let entries = &self.entries[stream];
            entries.partition_point(|entry| match &entry.record {
                // Where outcomes are uncertain, they and usage come whenever they are told, and releases after their tick
                // was, too.
                Record::Executed(_) | Record::Window(_) if uncertain => false,
                Record::Window(window) => window.last_tick < told,
                Record::Queue(event) if uncertain => event.tick < told,
                Record::Executed(executed) => executed.tick <= told,
                // A `/delay` comes after its tick was told.
                Record::Queue(event) => event.tick < told || (event.tick == told && event.added_ticks == 0),
            })
        })
    }
}

/// The world's disk, as shipping reads it.
pub(super) struct WorldsDisk;

impl Backlog for WorldsDisk {
    fn since(&self, after: &Positions, limit: usize) -> Result<Since, ReadError> {
        Ok(world::with(|world| world.disk.since(after, limit)))
    }

    fn entry(&self, stream: Stream, id: EntryId) -> Result<Option<Entry>, ReadError> {
        Ok(world::with(|world| world.disk.entry(stream, id)))
    }

    fn end(&self, stream: Stream) -> Result<(EntryId, u64, u64), ReadError> {
        Ok(world::with(|world| world.disk.end(stream)))
    }

    fn texts_after(&self, _n: u64, _limit: usize) -> Result<Vec<(u64, QueryText)>, ReadError> {
        // Queries of a simulated database have none.
        Ok(Vec::new())
    }
}

#[cfg(test)]
mod tests {
    use evenkeel_core::{
        chance::Dice,
        server::queue::{HoldLimits, RecordedQueue},
        units::{ids::QueryId, resource::PerResource, window::Measured},
    };
    use uuid::Uuid;

    use super::{super::dice::Draws as _, *};
    use crate::stores::outbox::{Identity, Limits, Outbox, OutboxReader};

    const NOW_MS: u64 = 1_800_000_000_000;

    /// Ticks, delays, a commit that is out of turn, a clock that goes back: the same commits to both.
    fn commits(dice: &mut Dice) -> Vec<Commit> {
        let mut queue =
            RecordedQueue::recover(Lengths::default(), HoldLimits::default(), &Recovered::default());
        let (mut measured, mut commits) = (Measured::default(), Vec::new());
        let mut now_ms = NOW_MS;
        for tick in (0..25).map(Tick) {
            now_ms = now_ms + dice.roll(200) - dice.roll(50);
            let arrivals = (0..dice.roll(4))
                .map(|n| (ExecutionId::new(now_ms, (tick.0 * 10 + n).into()), QueryId::simulated(1, 0)));
            let (commit, ran) =
                queue.advance(tick, now_ms, arrivals.map(Into::into).collect(), measured).unwrap();
            measured.add(tick, &PerResource { cpu: 40, io: 30, memory: 20 }, ran.len() as u64).unwrap();
            commits.push(commit);
            let waiting = queue.queue().planned().next().map(|planned| planned.queued.execution);
            if let Some(execution) = waiting.filter(|_| dice.hits(300)) {
                commits.push(queue.delay(execution, 1 + dice.roll(9), now_ms).unwrap());
            }
            if dice.hits(100) {
                commits.push(commits[0].clone());
            }
        }
        commits
    }

    #[test]
    fn the_model_takes_refuses_and_finds_what_the_outbox_does() {
        for seed in 1..=5 {
            let mut dice = Dice::new(seed);
            let folder = tempfile::TempDir::new().unwrap();
            let identity =
                Identity { label: "a test".to_owned(), text: String::new(), ..Identity::default() };
            let (mut outbox, found) =
                Outbox::open(folder.path(), &identity, Uuid::nil(), NOW_MS, Limits::shipping()).unwrap();
            let mut disk = Disk::default();
            assert_eq!(disk.recover(), found);
            for commit in commits(&mut dice) {
                let really = outbox.commit(vec![commit.clone()]).remove(0);
                assert_eq!(disk.commit(commit), really.is_ok(), "seed {seed}: {really:?}");
                assert_eq!(disk.recover(), outbox.recover().unwrap(), "seed {seed}");
            }
            let reader = OutboxReader::open(folder.path()).unwrap();
            for stream in Stream::ALL {
                assert_eq!(disk.end(stream), reader.end(stream).unwrap());
                let entries = &disk.entries[stream];
                let after = entries.get(dice.roll(entries.len() as u64) as usize).map(|entry| entry.id);
                let mut positions = Positions::default();
                positions.advance(stream, after.unwrap_or_default());
                assert_eq!(disk.since(&positions, 7), reader.since(&positions, 7).unwrap(), "seed {seed}");
                for id in after.into_iter().chain([EntryId { ms: 5, n: 5 }]) {
                    assert_eq!(disk.entry(stream, id), reader.range(stream, id, id, 1).unwrap().pop());
                }
            }
        }
    }
}

//! A journal without a database or a clock, for tests of what comes after it.

use std::path::PathBuf;

use evenkeel_actors::stores::outbox::{Identity, Limits, Outbox, OutboxHandle, OutboxReader, OutboxWriter};
use evenkeel_core::{
    journal::{Commit, Entry, EntryId, PerStream, QueryText, Recovered},
    server::queue::{Arrival, HoldLimits, RecordedQueue},
    units::{
        ids::{ExecutionId, QueryId},
        lengths::Lengths,
        resource::Usage,
        tick::Tick,
        window::Measured,
    },
};
use tempfile::TempDir;
use uuid::Uuid;

/// When it begins.
pub const NOW_MS: u64 = 1_800_000_000_000;

/// A server without a database: it decides ticks, and records them.
pub struct Server {
    folder: TempDir,
    queue: RecordedQueue,
    measured: Measured,
    pub writer: OutboxHandle,
    /// How far its clock is ahead of its ticks.
    pub clock_ahead_ms: u64,
}

impl Server {
    pub fn new() -> Self {
        let identity = Identity { label: "a test".to_owned(), text: String::new(), ..Identity::default() };
        Self::open(TempDir::new().unwrap(), &identity)
    }

    /// One that goes on with the journal in `folder`.
    pub fn of(folder: TempDir) -> Self {
        let identity = OutboxReader::open(folder.path()).unwrap().meta().unwrap().identity;
        Self::open(folder, &identity)
    }

    fn open(folder: TempDir, identity: &Identity) -> Self {
        let (outbox, recovered) =
            Outbox::open(folder.path(), identity, Uuid::new_v4(), NOW_MS, Limits::shipping()).unwrap();
        let Recovered { state, last_batch, .. } = &recovered;
        let mut measured = Measured::recover(Lengths::default(), state.open_window, state.last_window);
        if let Some(last) = state.next_tick.0.checked_sub(1) {
            let ran = last_batch.len() as u64;
            measured.add(Tick(last), &Usage::all(ran * 7), ran).unwrap();
        }
        Self {
            measured,
            queue: RecordedQueue::recover(Lengths::default(), HoldLimits::default(), &recovered),
            writer: OutboxWriter::spawn(outbox).unwrap(),
            clock_ahead_ms: 0,
            folder,
        }
    }

    pub fn dir(&self) -> PathBuf {
        self.folder.path().to_owned()
    }

    /// Records `ticks` ticks of two or three arrivals, none in every seventh.
    pub async fn tick(&mut self, ticks: u64) {
        for _ in 0..ticks {
            let tick = self.queue.queue().next_tick();
            let at_ms = NOW_MS + tick.0 * 100 + self.clock_ahead_ms;
            let count = if tick.0.is_multiple_of(7) { 0 } else { 2 + tick.0 % 2 };
            let arrivals = (0..count).map(|n| {
                let entropy = u128::from(tick.0) << 8 | u128::from(n);
                (ExecutionId::new(at_ms, entropy), QueryId::simulated(1, (tick.0 % 5 + n) as usize)).into()
            });
            self.tick_with(arrivals.collect(), Vec::new()).await;
        }
    }

    /// Records a tick with these arrivals and texts.
    pub async fn tick_with(&mut self, arrivals: Vec<Arrival>, texts: Vec<QueryText>) {
        let tick = self.queue.queue().next_tick();
        let at_ms = NOW_MS + tick.0 * 100 + self.clock_ahead_ms;
        let (commit, executed) = self.queue.advance(tick, at_ms, arrivals, self.measured).unwrap();
        self.writer.commit(Commit { texts, ..commit }).await.unwrap();
        let ran = executed.len() as u64;
        self.measured.add(tick, &Usage::all(ran * 7), ran).unwrap();
    }

    pub fn recorded(&self) -> PerStream<Vec<Entry>> {
        let reader = OutboxReader::open(self.folder.path()).unwrap();
        PerStream::from_fn(|stream| reader.after(stream, EntryId::default(), usize::MAX).unwrap())
    }
}

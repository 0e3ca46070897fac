//! The outbox as a history: what every copy of a journal can tell.

use std::{path::Path, sync::Arc};

use evenkeel_core::{
    invariants::TruthRow,
    journal::{EntryId, PerStream, QueryText, Stream},
    units::{ids::QueryId, tick::Tick},
};

use super::{
    head::{self, HeadRow, Meta},
    reader::{self, OutboxReader},
    texts,
    verify::{Verified, verify},
};
use crate::{
    ports::{
        history::{Head, History, OpenHistory, Page, ReadError, StreamInfo, Verdict},
        state_store::DeadLetter,
    },
    stores::file::state::dead_letters,
};

impl OutboxReader {
    /// Opens the history in `dir`.
    pub fn opener(dir: &Path) -> OpenHistory {
        let dir = dir.to_owned();
        Arc::new(move || Ok(Box::new(Self::open(&dir)?)))
    }
}

impl History for OutboxReader {
    fn head(&mut self) -> Result<Head, ReadError> {
        self.read(|connection| {
            let Meta { journal, identity, writer_epoch, .. } = head::read(connection)?;
            let HeadRow { state, .. } = head::read(connection)?;
            Ok(Head {
                journal: journal.to_string(),
                lengths: identity.lengths,
                label: Some(identity.label),
                writer_epoch: Some(writer_epoch),
                next_tick: state.next_tick,
                streams: PerStream::try_from_fn(|stream| reader::info(connection, stream))?,
            })
        })
    }

    fn texts(&mut self) -> Result<Vec<QueryText>, ReadError> {
        Self::texts(self)
    }

    fn text(&mut self, query: QueryId) -> Result<Option<QueryText>, ReadError> {
        self.read(|connection| texts::find(connection, query))
    }

    fn dead_letters(&mut self) -> Result<Vec<DeadLetter>, ReadError> {
        let mut dead = self.file.parent().map(dead_letters).unwrap_or_default();
        dead.sort_by_key(|dead| (dead.stream, dead.id));
        Ok(dead)
    }

    fn verify(
        &mut self,
        truth: Option<Vec<TruthRow>>,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<Verdict, ReadError> {
        let dead = self.dead_letters()?;
        let Verified { report, damage, notes } = verify(self, truth, progress)?;
        let damage = damage.iter().map(ToString::to_string);
        Ok(Verdict { report, wrong: damage.chain(dead.iter().map(ToString::to_string)).collect(), notes })
    }

    fn next_tick(&mut self) -> Result<Tick, ReadError> {
        Ok(Self::head(self)?.state.next_tick)
    }

    fn info(&mut self, stream: Stream) -> Result<StreamInfo, ReadError> {
        Self::info(self, stream)
    }

    fn after(&mut self, stream: Stream, id: EntryId, limit: usize) -> Result<Page, ReadError> {
        Self::after(self, stream, id, limit).map(Page::from)
    }

    fn before(&mut self, stream: Stream, id: EntryId, limit: usize) -> Result<Page, ReadError> {
        Self::before(self, stream, id, limit).map(Page::from)
    }

    fn tail(&mut self, stream: Stream, limit: usize) -> Result<Page, ReadError> {
        Self::tail(self, stream, limit).map(Page::from)
    }

    fn before_tick(&mut self, stream: Stream, tick: Tick) -> Result<EntryId, ReadError> {
        Self::before_tick(self, stream, tick)
    }
}

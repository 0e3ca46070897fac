//! The streams as a history: what every copy of a journal can tell.

use std::sync::Arc;

use evenkeel_core::{
    invariants::TruthRow,
    journal::{Entry, EntryId, PerStream, QueryText, Stream},
    units::{ids::QueryId, tick::Tick},
};

use super::{
    keys::Keys,
    reader::{RedisReader, StreamState},
    target::Target,
    verify::verify,
};
use crate::ports::{
    history::{End, Head, History, OpenHistory, Page, ReadError, StreamInfo, Verdict},
    state_store::DeadLetter,
};

impl RedisReader {
    /// Opens the history under `keys`.
    pub fn opener(target: &Target, keys: &Keys) -> OpenHistory {
        let (target, keys) = (target.clone(), keys.clone());
        Arc::new(move || Ok(Box::new(Self::open(&target, keys.clone())?)))
    }
}

impl History for RedisReader {
    fn head(&mut self) -> Result<Head, ReadError> {
        let (meta, streams) = self.moment()?;
        Ok(Head {
            journal: meta.get("journal").unwrap_or_default().to_owned(),
            lengths: meta.lengths(),
            label: meta.get("label").map(str::to_owned),
            writer_epoch: meta.get("writer_epoch").and_then(|epoch| epoch.parse().ok()),
            next_tick: meta.next_tick(),
            streams: PerStream::from_fn(|stream| StreamInfo::from(&streams[stream])),
        })
    }

    fn next_tick(&mut self) -> Result<Tick, ReadError> {
        Ok(self.meta()?.next_tick())
    }

    fn texts(&mut self) -> Result<Vec<QueryText>, ReadError> {
        Self::texts(self)
    }

    fn text(&mut self, query: QueryId) -> Result<Option<QueryText>, ReadError> {
        Self::text(self, query)
    }

    fn dead_letters(&mut self) -> Result<Vec<DeadLetter>, ReadError> {
        Ok(Self::dead_letters(self)?)
    }

    fn verify(
        &mut self,
        truth: Option<Vec<TruthRow>>,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<Verdict, ReadError> {
        Ok(verify(self, truth, progress)?)
    }

    fn after(&mut self, stream: Stream, id: EntryId, limit: usize) -> Result<Page, ReadError> {
        Ok(page(Self::after(self, stream, id, limit)?))
    }

    fn before(&mut self, stream: Stream, id: EntryId, limit: usize) -> Result<Page, ReadError> {
        Ok(page(self.last(stream, &format!("({id}"), limit)?))
    }

    fn tail(&mut self, stream: Stream, limit: usize) -> Result<Page, ReadError> {
        Ok(page(Self::tail(self, stream, limit)?))
    }
}

fn page(found: Vec<Result<Entry, DeadLetter>>) -> Page {
    let mut page = Page::default();
    for one in found {
        match one {
            Ok(entry) => page.entries.push(entry),
            Err(dead) => page.unreadable.push(dead),
        }
    }
    page
}

impl From<&StreamState> for StreamInfo {
    fn from(state: &StreamState) -> Self {
        let StreamState { length, first, last, .. } = state;
        let end = |entry: &Option<Entry>| entry.as_ref().map(End::from);
        Self { length: *length, first: end(first), last: end(last), bytes: None }
    }
}

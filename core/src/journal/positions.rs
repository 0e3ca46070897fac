//! How far a reader has come in each stream.

use serde::{Deserialize, Serialize};

use super::{entry::EntryId, record::Stream};

/// The last applied id of each stream; 0-0 before the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Positions {
    executions: EntryId,
    queue: EntryId,
    windows: EntryId,
}

impl Positions {
    /// The last applied id of `stream`.
    pub fn get(&self, stream: Stream) -> EntryId {
        match stream {
            Stream::Executions => self.executions,
            Stream::Queue => self.queue,
            Stream::Windows => self.windows,
        }
    }

    /// Notes that `stream` has been applied up to `id`; never goes back.
    pub fn advance(&mut self, stream: Stream, id: EntryId) {
        let position = match stream {
            Stream::Executions => &mut self.executions,
            Stream::Queue => &mut self.queue,
            Stream::Windows => &mut self.windows,
        };
        *position = id.max(*position);
    }
}

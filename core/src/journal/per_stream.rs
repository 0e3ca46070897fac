//! One value for each of the journal's streams.

use std::ops::{Index, IndexMut};

use serde::{Deserialize, Serialize};

use super::record::Stream;

/// One value a stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PerStream<T> {
    /// The value for [`Stream::Executions`].
    pub executions: T,
    /// The value for [`Stream::Queue`].
    pub queue: T,
    /// The value for [`Stream::Windows`].
    pub windows: T,
}

impl<T> PerStream<T> {
    /// The value that `f` gives for each stream.
    pub fn from_fn(mut f: impl FnMut(Stream) -> T) -> Self {
        Self { executions: f(Stream::Executions), queue: f(Stream::Queue), windows: f(Stream::Windows) }
    }

    /// As [`PerStream::from_fn`], up to the first error.
    ///
    /// # Errors
    /// What `f` gave.
    pub fn try_from_fn<E>(mut f: impl FnMut(Stream) -> Result<T, E>) -> Result<Self, E> {
        Ok(Self {
            executions: f(Stream::Executions)?,
            queue: f(Stream::Queue)?,
            windows: f(Stream::Windows)?,
        })
    }
}

impl<T> Index<Stream> for PerStream<T> {
    type Output = T;

    fn index(&self, stream: Stream) -> &T {
        match stream {
            Stream::Executions => &self.executions,
            Stream::Queue => &self.queue,
            Stream::Windows => &self.windows,
        }
    }
}

impl<T> IndexMut<Stream> for PerStream<T> {
    fn index_mut(&mut self, stream: Stream) -> &mut T {
        match stream {
            Stream::Executions => &mut self.executions,
            Stream::Queue => &mut self.queue,
            Stream::Windows => &mut self.windows,
        }
    }
}

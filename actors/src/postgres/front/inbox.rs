//! Bytes that were read and have not been taken: a buffer that grows only as far as somebody needs.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, ReadBuf};

/// See the module. Bytes `from..to` of `bytes` are there.
#[derive(Debug)]
pub(super) struct Inbox {
    bytes: Vec<u8>,
    from: usize,
    to: usize,
    least: usize,
    most: usize,
}

impl Inbox {
    /// One of `least` bytes, which grows up to `most`.
    pub(super) fn new(least: usize, most: usize) -> Self {
        Self { bytes: Vec::new(), from: 0, to: 0, least, most }
    }

    /// One that already has `bytes`.
    pub(super) fn with(self, bytes: &[u8]) -> Self {
        let mut all = bytes.to_vec();
        all.resize(self.least.max(bytes.len()), 0);
        Self { bytes: all, to: bytes.len(), ..self }
    }

    /// What is there.
    pub(super) fn filled(&self) -> &[u8] {
        &self.bytes[self.from..self.to]
    }

    /// The first `count` of them have been taken.
    pub(super) fn take(&mut self, count: usize) {
        self.from += count;
        if self.from == self.to {
            (self.from, self.to) = (0, 0);
            if self.bytes.len() > self.least {
                self.bytes.truncate(self.least);
                self.bytes.shrink_to_fit();
            }
        }
    }

    /// Whether there is room for more without growing.
    pub(super) fn has_room(&self) -> bool {
        self.to - self.from < self.bytes.len().max(self.least)
    }

    /// Makes room, because what is there is not enough to go on with; whether there is some now.
    pub(super) fn grow(&mut self) -> bool {
        if self.bytes.len() < self.most {
            let length = (self.bytes.len() * 2).clamp(self.least, self.most);
            self.bytes.resize(length, 0);
        }
        self.has_room()
    }

    /// Reads once; how many bytes came, none at the end.
    pub(super) fn poll_read<R: AsyncRead + Unpin + ?Sized>(
        &mut self,
        from: &mut R,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        if self.bytes.is_empty() {
            self.bytes.resize(self.least, 0);
        }
        if self.to == self.bytes.len() {
            self.bytes.copy_within(self.from..self.to, 0);
            (self.from, self.to) = (0, self.to - self.from);
        }
        let mut room = ReadBuf::new(&mut self.bytes[self.to..]);
        ready!(Pin::new(from).poll_read(context, &mut room))?;
        let count = room.filled().len();
        self.to += count;
        Poll::Ready(Ok(count))
    }

    /// Gives the buffer back, where nothing is in it: an idle session needs none.
    pub(super) fn rest(&mut self) {
        if self.from == self.to {
            self.bytes = Vec::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    #[test]
    fn it_grows_on_demand_and_shrinks_when_it_is_empty() {
        let mut inbox = Inbox::new(4, 10);
        let mut source: &[u8] = b"abcdefghijkl";
        let mut context = Context::from_waker(Waker::noop());
        let mut read = |inbox: &mut Inbox| match inbox.poll_read(&mut source, &mut context) {
            Poll::Ready(Ok(count)) => count,
            other => panic!("{other:?}"),
        };
        assert_eq!((read(&mut inbox), inbox.filled()), (4, &b"abcd"[..]));
        assert!(!inbox.has_room());
        inbox.take(2);
        assert_eq!((read(&mut inbox), inbox.filled()), (2, &b"cdef"[..]));
        assert!(inbox.grow());
        assert_eq!((read(&mut inbox), inbox.filled()), (4, &b"cdefghij"[..]));
        assert!(inbox.grow());
        assert_eq!((read(&mut inbox), inbox.filled()), (2, &b"cdefghijkl"[..]));
        assert!(!inbox.grow());
        inbox.take(10);
        assert_eq!(inbox.bytes.len(), 4);
        inbox.rest();
        assert_eq!(inbox.bytes.capacity(), 0);
    }
}

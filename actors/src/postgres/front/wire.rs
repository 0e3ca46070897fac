//! Connections, whatever they are made of, and what is to be written to them.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A connection: TCP, a socket in the file system, or TLS over either.
pub(crate) trait Io: AsyncRead + AsyncWrite + Unpin {}

impl<T: AsyncRead + AsyncWrite + Unpin> Io for T {}

/// One of any kind.
pub(crate) type Wire = Box<dyn Io>;

/// Bytes to be written.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    bytes: Vec<u8>,
    written: usize,
    unflushed: bool,
}

/// A buffer that is empty keeps so much.
const KEPT_BYTES: usize = 16 * 1024;

impl Outbox {
    /// Adds `bytes`, and leaves `bytes` empty.
    pub(super) fn append(&mut self, bytes: &mut Vec<u8>) {
        if self.bytes.is_empty() {
            std::mem::swap(&mut self.bytes, bytes);
        } else {
            self.bytes.append(bytes);
        }
    }

    /// How much waits.
    pub(super) fn len(&self) -> usize {
        self.bytes.len() - self.written
    }

    /// Writes what can be written now; whether something was.
    pub(super) fn poll_write(&mut self, to: &mut Wire, context: &mut Context<'_>) -> io::Result<bool> {
        let mut moved = false;
        while self.written < self.bytes.len() {
            match Pin::new(&mut *to).poll_write(context, &self.bytes[self.written..]) {
                Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(Ok(count)) => {
                    self.written += count;
                    (moved, self.unflushed) = (true, true);
                }
                Poll::Ready(Err(error)) => return Err(error),
                Poll::Pending => break,
            }
        }
        if self.written == self.bytes.len() && self.written > 0 {
            self.bytes.clear();
            self.bytes.shrink_to(KEPT_BYTES);
            self.written = 0;
        }
        if self.unflushed
            && let Poll::Ready(flushed) = Pin::new(to).poll_flush(context)
        {
            flushed?;
            self.unflushed = false;
        }
        Ok(moved)
    }

    /// Gives the buffer back, where nothing is in it.
    pub(super) fn rest(&mut self) {
        if self.bytes.is_empty() {
            self.bytes = Vec::new();
        }
    }
}

/// A connection of which some bytes were read too early.
pub(super) struct Rewound<S> {
    bytes: Vec<u8>,
    read: usize,
    stream: S,
}

impl<S> Rewound<S> {
    /// `bytes` come first.
    pub(super) fn new(bytes: Vec<u8>, stream: S) -> Self {
        Self { bytes, read: 0, stream }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Rewound<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        room: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let rest = &self.bytes[self.read..];
        if rest.is_empty() {
            return Pin::new(&mut self.stream).poll_read(context, room);
        }
        let count = rest.len().min(room.remaining());
        room.put_slice(&rest[..count]);
        self.read += count;
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Rewound<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

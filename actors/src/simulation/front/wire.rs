//! Connections: what one side has written reaches the other in pieces, later, or not at all.

use std::{
    cell::RefCell,
    io,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, Waker},
};

use evenkeel_core::chance::Dice;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Instant,
};

use super::{super::dice::Draws as _, world};

/// A connection between evenkeel and somebody.
#[derive(Debug, Default)]
pub(super) struct Pipe {
    /// From somebody: on its way, and there.
    coming: Vec<u8>,
    arrived: Vec<u8>,
    /// Somebody writes nothing more.
    ended: bool,
    /// From evenkeel: on its way, and there.
    going: Vec<u8>,
    delivered: Vec<u8>,
    /// Evenkeel writes nothing more.
    left: bool,
    /// All that evenkeel has written, and how much of it had been when.
    pub(super) written: Vec<u8>,
    pub(super) marks: Vec<(usize, Instant)>,
    wakers: Vec<Waker>,
}

pub(super) type Line = Rc<RefCell<Pipe>>;

impl Pipe {
    /// Somebody writes.
    pub(super) fn write(&mut self, bytes: &[u8]) {
        if !self.ended {
            self.coming.extend_from_slice(bytes);
        }
    }

    /// Somebody closes: after what has been written, or at once.
    pub(super) fn close(&mut self, at_once: bool) {
        self.ended = true;
        if at_once {
            self.coming.clear();
        }
        self.wake();
    }

    /// What has come from evenkeel.
    pub(super) fn inbox(&mut self) -> &mut Vec<u8> {
        &mut self.delivered
    }

    /// Whether nothing more will come from evenkeel.
    pub(super) fn is_left(&self) -> bool {
        self.left && self.going.is_empty()
    }

    /// Nobody uses it any more.
    pub(super) fn is_over(&self) -> bool {
        self.left && self.ended
    }

    /// A part of what is on its way arrives; whether something did.
    pub(super) fn flow(&mut self, dice: &mut Dice) -> bool {
        let part = |dice: &mut Dice, length: usize| match dice.roll(8) {
            0 => 0,
            1 => dice.roll(length as u64 + 1) as usize,
            _ => length,
        };
        let (came, went) = (part(dice, self.coming.len()), part(dice, self.going.len()));
        self.arrived.extend(self.coming.drain(..came));
        self.delivered.extend(self.going.drain(..went));
        if came > 0 || self.ended {
            self.wake();
        }
        came + went > 0
    }

    fn wake(&mut self) {
        for waker in self.wakers.drain(..) {
            waker.wake();
        }
    }
}

/// Evenkeel's end.
#[derive(Debug)]
pub(super) struct End(pub(super) Line);

impl AsyncRead for End {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        room: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut pipe = self.0.borrow_mut();
        if pipe.arrived.is_empty() {
            if pipe.ended && pipe.coming.is_empty() {
                return Poll::Ready(Ok(()));
            }
            pipe.wakers.push(context.waker().clone());
            return Poll::Pending;
        }
        let most = pipe.arrived.len().min(room.remaining());
        let count = world::with(|world| {
            if world.around.dice.hits(700) { most } else { 1 + world.around.dice.roll(most as u64) as usize }
        });
        let count = count.min(most);
        room.put_slice(&pipe.arrived[..count]);
        pipe.arrived.drain(..count);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for End {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let mut pipe = self.0.borrow_mut();
        if pipe.ended {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let count = world::with(|world| {
            if world.around.dice.hits(700) {
                bytes.len()
            } else {
                1 + world.around.dice.roll(bytes.len() as u64) as usize
            }
        });
        let count = count.min(bytes.len());
        pipe.going.extend_from_slice(&bytes[..count]);
        pipe.written.extend_from_slice(&bytes[..count]);
        let written = pipe.written.len();
        pipe.marks.push((written, Instant::now()));
        Poll::Ready(Ok(count))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.borrow_mut().left = true;
        Poll::Ready(Ok(()))
    }
}

impl Drop for End {
    fn drop(&mut self) {
        self.0.borrow_mut().left = true;
    }
}

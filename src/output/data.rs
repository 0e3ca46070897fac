//! Data on stdout: all of it, or an error.

use std::{
    io::{self, BufWriter, ErrorKind, Write, stdout},
    thread,
    time::Duration,
};

use evenkeel_core::text;

/// Standard output did not take everything.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// Whoever read it has seen enough, as `| head` does. Every Unix program ends without a word then, as SIGPIPE would
    /// end it, so that `pipefail` tells a part from the whole.
    #[error("whoever read standard output has gone")]
    Closed,
    /// What was printed is not everything.
    #[error("standard output cannot be written: {0}; what was printed is not everything")]
    Failed(io::Error),
}

impl From<io::Error> for DataError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            ErrorKind::BrokenPipe => Self::Closed,
            _ => Self::Failed(error),
        }
    }
}

/// Prints what `write` writes.
///
/// # Errors
/// [`DataError`]: not all of it has been taken.
pub fn data(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), DataError> {
    let mut out = BufWriter::new(Plain { out: Patient(stdout().lock()), part: Vec::new() });
    let written = write(&mut out).and_then(|()| out.flush());
    // What is left in it has failed once: it is not tried again.
    let (_, _) = out.into_parts();
    Ok(written?)
}

/// A writer of text that a terminal shows and does not obey: entries and answers hold what others have sent.
struct Plain<W> {
    out: W,
    /// A character that is not whole yet.
    part: Vec<u8>,
}

impl<W: Write> Write for Plain<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.part.extend_from_slice(bytes);
        let whole = match str::from_utf8(&self.part) {
            Err(error) if error.error_len().is_none() => error.valid_up_to(),
            _ => self.part.len(),
        };
        let text = String::from_utf8_lossy(&self.part[..whole]);
        self.out.write_all(text::escaped(&text).as_bytes())?;
        self.part.drain(..whole);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// A writer that waits where its descriptor would not: somebody who shares it has made it so.
struct Patient<W>(W);

impl<W: Write> Write for Patient<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        patient(|| self.0.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        patient(|| self.0.flush())
    }
}

/// Tries again as long as a descriptor has no room, or a signal came between.
#[expect(clippy::disallowed_methods, reason = "a thread that only writes, or a command without actors")]
pub(super) fn patient<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == ErrorKind::WouldBlock => thread::sleep(Duration::from_millis(10)),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            done => return done,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_obeys_nothing_however_it_is_cut() {
        let text = "Käse \u{1b}[31m\u{9b}2J\u{202e}🙂\n";
        for length in 1..text.len() {
            let mut out = Plain { out: Vec::new(), part: Vec::new() };
            for part in text.as_bytes().chunks(length) {
                out.write_all(part).unwrap();
            }
            let shown = String::from_utf8(out.out).unwrap();
            assert_eq!(shown, "Käse \\u001b[31m\\u009b2J\\u202e🙂\n");
        }
    }

    #[test]
    fn a_descriptor_without_room_is_waited_for() {
        let mut tries = 0;
        let took = patient(|| {
            tries += 1;
            match tries {
                1 => Err(ErrorKind::WouldBlock.into()),
                2 => Err(ErrorKind::Interrupted.into()),
                _ => Ok(tries),
            }
        });
        assert_eq!(took.unwrap(), 3);
    }

    #[test]
    fn only_a_closed_pipe_is_somebody_who_has_seen_enough() {
        assert!(matches!(DataError::from(io::Error::from(ErrorKind::BrokenPipe)), DataError::Closed));
        assert!(matches!(DataError::from(io::Error::from(ErrorKind::StorageFull)), DataError::Failed(_)));
    }
}

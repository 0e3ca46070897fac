//! A descriptor that a thread of its own writes to.
//!
//! ```text
//! push ─▶ queue, 1 MiB at the most ─▶ thread ─▶ write(2)
//!            └─ full: dropped, counted            └─ failed: dropped, counted
//!                                                 └─ works again: says how many are missing here, and why
//! ```

use std::{
    io::{self, ErrorKind, Write},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use super::patient;

/// Bytes that wait: some 10,000 lines of 100 bytes, which is a second of a very talkative log.
const WAITING_BYTES_MAX: usize = 1 << 20;
/// A write that takes longer stands still: nobody reads.
const STILL: Duration = Duration::from_secs(3);
/// How often a descriptor that failed is tried again.
const RETRY: Duration = Duration::from_secs(1);
/// How long dropped lines are told after the last one: each who asks once a minute hears of it.
const TOLD_FOR: Duration = Duration::from_mins(1);
/// Why lines are dropped that had no room.
const NO_ROOM: &str = "nobody read fast enough";

/// How a descriptor takes what is written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Condition {
    /// Lines that it did not get since the process began.
    pub dropped: u64,
    /// What is wrong now, or was within the last minute.
    pub trouble: Option<Trouble>,
}

/// Why it does not get them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// Nobody reads, or the system's words.
    pub cause: String,
    /// Whether that is over.
    pub over: bool,
    /// Lines that wait.
    pub waiting: usize,
    /// Lines that it did not get this time.
    pub missing: u64,
}

/// What says how many lines are missing, and why.
type Notice = fn(u64, &str) -> String;

/// See the module.
pub(super) struct Sink(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    waiting: Vec<Vec<u8>>,
    waiting_bytes: usize,
    /// Lines that had no room, and come after everything that waits.
    refused: u64,
    /// Lines that had no room, and come after those that the thread has taken and not written yet.
    refused_after_taken: u64,
    /// Lines that are missing where the next one is written.
    unsaid: u64,
    /// All that were dropped.
    dropped: u64,
    /// Those of this time of trouble, the last of them, and why.
    missing: u64,
    last_dropped: Option<(Instant, String)>,
    /// Whether the last write failed.
    failing: bool,
    /// When the write began that is under way.
    begun: Option<Instant>,
    /// Whether the thread has taken something that it has not written yet.
    taken: bool,
}

impl State {
    fn drop_lines(&mut self, lines: u64, cause: &str) {
        let again = self.last_dropped.as_ref().is_some_and(|(at, _)| at.elapsed() < TOLD_FOR);
        self.missing = if again { self.missing } else { 0 } + lines;
        self.dropped += lines;
        self.last_dropped = Some((Instant::now(), cause.to_owned()));
    }

    /// The lines that the thread has taken are written: those that had no room after them are missing here.
    fn reach_refused(&mut self) {
        self.unsaid += std::mem::take(&mut self.refused_after_taken);
    }

    fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.refused == 0 && !self.taken
    }

    fn condition(&self) -> Condition {
        let still = self.begun.is_some_and(|begun| begun.elapsed() > STILL);
        let dropped = self.last_dropped.as_ref().filter(|(at, _)| at.elapsed() < TOLD_FOR);
        let cause = match dropped {
            _ if still => Some("nobody reads it"),
            Some((_, cause)) => Some(&**cause),
            None => None,
        };
        let missing = if dropped.is_some() { self.missing } else { 0 };
        let unsaid = self.unsaid + self.refused + self.refused_after_taken;
        let over = !still && !self.failing && unsaid == 0;
        let trouble =
            |cause: &str| Trouble { cause: cause.to_owned(), over, waiting: self.waiting.len(), missing };
        Condition { dropped: self.dropped, trouble: cause.map(trouble) }
    }
}

impl Sink {
    /// Gives `out` to a thread called `name`; without a thread everything is dropped.
    pub(super) fn spawn(name: &str, out: Box<dyn Write + Send>, notice: Notice) -> Self {
        let shared = Arc::new(Shared { state: Mutex::default(), changed: Condvar::new() });
        let writer = Writer { shared: Arc::clone(&shared), out, notice, torn: false };
        if thread::Builder::new().name(name.to_owned()).spawn(move || writer.run()).is_err() {
            // Nobody takes: the first flush does not wait for it.
            shared.lock().waiting_bytes = WAITING_BYTES_MAX;
        }
        Self(shared)
    }

    /// Takes a line, or counts it.
    pub(super) fn push(&self, line: Vec<u8>) {
        let mut state = self.0.lock();
        if state.waiting_bytes + line.len() > WAITING_BYTES_MAX {
            state.refused += 1;
            state.drop_lines(1, NO_ROOM);
        } else {
            state.waiting_bytes += line.len();
            state.waiting.push(line);
        }
        self.0.changed.notify_all();
    }

    /// Waits until everything is written, or `longest`.
    pub(super) fn flush(&self, longest: Duration) {
        let state = self.0.lock();
        let waited = self.0.changed.wait_timeout_while(state, longest, |state| !state.is_idle());
        drop(waited);
    }

    pub(super) fn condition(&self) -> Condition {
        self.0.lock().condition()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it is held.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What waits. Comes back with nothing when it is time to try again.
    fn take(&self) -> Vec<Vec<u8>> {
        let mut state = self.lock();
        state.taken = false;
        self.changed.notify_all();
        let mut waited = Duration::ZERO;
        while state.waiting.is_empty() && state.refused == 0 && !(state.unsaid > 0 && waited >= RETRY) {
            let begun = Instant::now();
            let timed = self.changed.wait_timeout(state, RETRY);
            state = timed.unwrap_or_else(PoisonError::into_inner).0;
            waited += begun.elapsed();
        }
        state.taken = true;
        state.waiting_bytes = 0;
        state.refused_after_taken = std::mem::take(&mut state.refused);
        std::mem::take(&mut state.waiting)
    }
}

/// The thread.
struct Writer {
    shared: Arc<Shared>,
    out: Box<dyn Write + Send>,
    notice: Notice,
    /// Whether the last line was not written to its end.
    torn: bool,
}

impl Writer {
    fn run(mut self) {
        loop {
            for line in self.shared.take() {
                if let Err(error) = self.catch_up().and_then(|()| self.write(&line)) {
                    let mut state = self.shared.lock();
                    state.unsaid += 1;
                    state.drop_lines(1, &error.to_string());
                }
            }
            self.shared.lock().reach_refused();
            // One that fails is tried again.
            drop(self.catch_up());
        }
    }

    /// Says what is missing here.
    fn catch_up(&mut self) -> io::Result<()> {
        let (missing, cause) = {
            let state = self.shared.lock();
            let cause = state.last_dropped.as_ref().map(|(_, cause)| cause.clone());
            (state.unsaid, cause.unwrap_or_default())
        };
        if missing == 0 {
            return Ok(());
        }
        self.write((self.notice)(missing, &cause).as_bytes())?;
        self.shared.lock().unsaid -= missing;
        Ok(())
    }

    fn write(&mut self, line: &[u8]) -> io::Result<()> {
        self.shared.lock().begun = Some(Instant::now());
        let written = self.write_all(line);
        let mut state = self.shared.lock();
        state.begun = None;
        state.failing = written.is_err();
        written
    }

    fn write_all(&mut self, line: &[u8]) -> io::Result<()> {
        if self.torn {
            self.write_part(b"\n")?;
            self.torn = false;
        }
        let mut left = line;
        while !left.is_empty() {
            let written = self.write_part(left)?;
            left = &left[written..];
            self.torn = !left.is_empty();
        }
        Ok(())
    }

    fn write_part(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match patient(|| self.out.write(bytes))? {
            0 => Err(ErrorKind::WriteZero.into()),
            written => Ok(written),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};

    use super::*;

    /// Takes as many bytes of each write as it is told to, or fails, and waits until it is told.
    struct Told {
        tell: Receiver<io::Result<usize>>,
        got: Got,
    }

    /// What it has taken.
    type Got = Arc<Mutex<Vec<u8>>>;

    impl Write for Told {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let take = self.tell.recv().unwrap_or(Ok(usize::MAX))?.min(bytes.len());
            self.got.lock().unwrap().extend_from_slice(&bytes[..take]);
            Ok(take)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn sink() -> (Sink, Sender<io::Result<usize>>, Got) {
        let (tell, told) = channel();
        let got = Got::default();
        let out = Told { tell: told, got: Arc::clone(&got) };
        let sink =
            Sink::spawn("test", Box::new(out), |missing, cause| format!("{missing} missing: {cause}\n"));
        (sink, tell, got)
    }

    const LONG: Duration = Duration::from_mins(1);

    fn text(got: &Mutex<Vec<u8>>) -> String {
        String::from_utf8(got.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn lines_come_in_order_and_nothing_is_missing() {
        let (sink, tell, got) = sink();
        drop(tell);
        let lines: Vec<String> = (0..100).map(|n| format!("{n}\n")).collect();
        for line in &lines {
            sink.push(line.clone().into_bytes());
        }
        sink.flush(LONG);
        assert_eq!(text(&got), lines.concat());
        assert_eq!(sink.condition(), Condition::default());
    }

    #[test]
    fn nobody_waits_for_a_reader_and_what_had_no_room_is_counted_where_it_is_missing() {
        let (sink, tell, got) = sink();
        let pushed = 3 * WAITING_BYTES_MAX / 1024;
        for _ in 0..pushed {
            sink.push(vec![b'x'; 1024]);
        }
        let dropped = sink.condition().dropped;
        assert!(dropped >= pushed as u64 / 3, "{dropped} of {pushed}");
        assert!(sink.condition().trouble.is_some_and(|trouble| !trouble.over && trouble.missing == dropped));
        drop(tell);
        sink.flush(LONG);
        sink.push(b"again\n".to_vec());
        sink.flush(LONG);
        let got = text(&got);
        // A notice stands where lines are missing: behind those that the thread took first, behind the rest, or both.
        let said: u64 = got
            .lines()
            .filter_map(|line| line.trim_start_matches('x').strip_suffix(&format!(" missing: {NO_ROOM}")))
            .map(|missing| missing.parse::<u64>().unwrap())
            .sum();
        assert_eq!(said, dropped, "{}", &got[got.len() - 80..]);
        assert!(got.ends_with("again\n"), "{}", &got[got.len() - 80..]);
        assert!(sink.condition().trouble.is_some_and(|trouble| trouble.over), "told for a while");
        assert_eq!(sink.condition().dropped, dropped);
    }

    #[test]
    fn a_write_that_fails_drops_its_line_and_the_next_one_that_works_begins_a_line() {
        let (sink, tell, got) = sink();
        tell.send(Ok(3)).unwrap();
        tell.send(Err(ErrorKind::StorageFull.into())).unwrap();
        sink.push(b"first\n".to_vec());
        // The notice is tried at once, and fails, too.
        tell.send(Err(ErrorKind::StorageFull.into())).unwrap();
        sink.push(b"second\n".to_vec());
        drop(tell);
        sink.push(b"third\n".to_vec());
        sink.flush(LONG);
        let got = text(&got);
        assert!(
            got.starts_with("fir\n1 missing: no storage space\n") || got.starts_with("fir\n2 missing"),
            "{got}"
        );
        assert!(got.ends_with("third\n"), "{got}");
        assert!(!sink.condition().trouble.unwrap().cause.is_empty());
    }
}

//! How far a simulation is, on standard error: a line that is written over, or now and then a new one in a file.

use std::time::{Duration, Instant};

use crate::output;

/// How often a person looks.
const EVERY: Duration = Duration::from_millis(200);
/// How often a file gets a line: seldom enough that its reader finds the results, too.
const EVERY_IN_A_FILE: Duration = Duration::from_secs(5);

/// See the module.
pub(super) struct Progress {
    what: String,
    ticks: u64,
    shown: Instant,
    written_over: bool,
    /// Whether there is something to write over.
    line: bool,
}

impl Progress {
    /// Of `what`, which takes so many ticks.
    pub(super) fn new(what: String, ticks: u64) -> Self {
        Self { what, ticks, shown: Instant::now(), written_over: output::is_watched(), line: false }
    }

    pub(super) fn show(&mut self, tick: u64) {
        let every = if self.written_over { EVERY } else { EVERY_IN_A_FILE };
        if self.shown.elapsed() < every {
            return;
        }
        self.shown = Instant::now();
        if self.written_over {
            self.line = true;
            output::raw(format_args!("\r{}: tick {tick} of {}\x1b[K", self.what, self.ticks));
        } else {
            output::raw(format_args!("{}: tick {tick} of {}\n", self.what, self.ticks));
        }
    }

    /// Leaves an empty line to whoever prints next.
    pub(super) fn clear(&self) {
        if self.line {
            output::raw("\r\x1b[K");
        }
    }
}

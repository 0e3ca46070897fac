//! Everything that the program prints.
//!
//! ```text
//! stdout  data   ─▶ written by whoever has it; what cannot be written ends the command
//!         lines  ─▶ queue ─▶ thread     a line a second of run, server, client
//! stderr  log, progress, last words ─▶ queue ─▶ thread
//! ```
//!
//! Nobody waits for a line or a log, nobody fails or unwinds because of one: what has no room is dropped, and counted.
//! Data are never dropped.

mod data;
mod sink;

use std::{
    fmt::Display,
    fs::File,
    io::{self, Write, stderr, stdout},
    os::fd::AsFd,
    panic::PanicHookInfo,
    sync::{
        OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use chrono::{SecondsFormat, Utc};
use evenkeel_core::text;
use serde_json::json;

use self::{data::patient, sink::Sink};
pub use self::{
    data::{DataError, data},
    sink::{Condition, Trouble},
};

/// Longest that the end of the process waits for its last words: whoever sent SIGTERM waits 10 s, and 9 of them are for
/// the end of the actors.
const LAST_WORDS_MAX: Duration = Duration::from_millis(500);

/// Longest message or line: a panic with the way that led to it. What others sent is shorter, or not all worth a screen.
const SAID_CHARS_MAX: usize = 16_000;

static LINES: OnceLock<Sink> = OnceLock::new();
static LOG: OnceLock<Sink> = OnceLock::new();
/// Whether the log has an object a line.
static JSON: AtomicBool = AtomicBool::new(false);

/// A descriptor of its own, so that no lock of the standard library is held while a write stands still.
fn duplicate(of: &impl AsFd, otherwise: impl Write + Send + 'static) -> Box<dyn Write + Send> {
    match of.as_fd().try_clone_to_owned() {
        Ok(descriptor) => Box::new(File::from(descriptor)),
        Err(_none_left) => Box::new(otherwise),
    }
}

fn lines() -> &'static Sink {
    LINES.get_or_init(|| {
        Sink::spawn("stdout", duplicate(&stdout(), stdout()), |missing, cause| {
            format!("evenkeel: {missing} lines are missing here: {cause}\n")
        })
    })
}

fn log() -> &'static Sink {
    LOG.get_or_init(|| {
        Sink::spawn("stderr", duplicate(&stderr(), stderr()), |missing, cause| {
            said("WARN", &format!("{missing} lines of the log are missing here: {cause}"))
        })
    })
}

/// From now on what is said on stderr is an object a line.
pub(crate) fn speak_json() {
    JSON.store(true, Ordering::Relaxed);
}

/// As the log says it.
fn said(level: &str, message: &str) -> String {
    let message = text::shown_lines(message, SAID_CHARS_MAX);
    if JSON.load(Ordering::Relaxed) {
        let timestamp = Utc::now().to_rfc3339_opts(SecondsFormat::Micros, true);
        let said =
            json!({"timestamp": timestamp, "level": level, "message": message, "target": "evenkeel::output"});
        format!("{said}\n")
    } else {
        format!("evenkeel: {message}\n")
    }
}

/// A line about what the program does, on stdout. Dropped when nobody reads.
pub fn line(text: impl Display) {
    lines().push((text::shown_lines(&text.to_string(), SAID_CHARS_MAX) + "\n").into_bytes());
}

/// What a person should know, on stderr. Dropped when nobody reads.
pub fn note(text: impl Display) {
    log().push(said("WARN", &text.to_string()).into_bytes());
}

/// Why the command failed, on stderr.
pub fn error(text: impl Display) {
    log().push(said("ERROR", &text.to_string()).into_bytes());
}

/// Text on stderr as it is: a progress that is written over, the command line's own words.
pub fn raw(text: impl Display) {
    log().push(text.to_string().into_bytes());
}

/// Waits until everything is printed, as long as it goes on and not much longer than anybody waits.
pub fn flush() {
    for sink in [&LOG, &LINES].into_iter().filter_map(OnceLock::get) {
        sink.flush(LAST_WORDS_MAX);
    }
}

/// How the log gets out.
pub fn log_condition() -> Condition {
    LOG.get().map(Sink::condition).unwrap_or_default()
}

/// How the lines get out.
pub fn lines_condition() -> Condition {
    LINES.get().map(Sink::condition).unwrap_or_default()
}

/// Where loggers write, a whole event a call; never fails and never waits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Log;

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // JSON writes most out, but not all that terminals obey. Text has done so, and its colours shall be obeyed.
        let is_json = JSON.load(Ordering::Relaxed);
        let text = str::from_utf8(bytes).ok().filter(|_| is_json);
        log().push(text.map_or_else(|| bytes.to_vec(), |text| text::escaped(text).into_owned().into_bytes()));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Says what panicked as the log says it: the standard library's own hook waits for whoever reads stderr.
pub(crate) fn panicked(panic: &PanicHookInfo<'_>) {
    let thread = std::thread::current();
    let place = panic.location().map(ToString::to_string).unwrap_or_default();
    let cause = panic.payload_as_str().unwrap_or("a panic without a text");
    let mut message =
        format!("thread '{}' panicked at {place}:\n{cause}", thread.name().unwrap_or("unnamed"));
    let backtrace = std::backtrace::Backtrace::capture();
    if backtrace.status() == std::backtrace::BacktraceStatus::Captured {
        message = format!("{message}\n{backtrace}");
    }
    error(message);
}

/// Whether people look at what goes to stderr.
pub(crate) fn is_watched() -> bool {
    io::IsTerminal::is_terminal(&stderr())
}

/// Whether colours help: a terminal that shows them, and nobody who does not want them.
pub(crate) fn is_coloured() -> bool {
    let dumb = std::env::var_os("TERM").is_some_and(|terminal| terminal == "dumb");
    is_watched() && !dumb && std::env::var_os("NO_COLOR").is_none_or(|set| set.is_empty())
}

//! `evenkeel journal tail`: the last entries, as `redis-cli XRANGE` would show them.

use std::{
    collections::BTreeMap,
    io::{self, Write},
    thread,
    time::Duration,
};

use clap::Args;
use evenkeel_actors::ports::history::{History, Page, ReadError};
use evenkeel_core::{
    journal::{Entry, EntryId, PerStream, Record, Stream},
    units::ids::QueryId,
};
use serde_json::{Map, Value, json};

use super::{Which, failed};
use crate::{
    exit::{Exit, ExitError},
    output,
};

/// How often `--follow` looks: entries come once a tick.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Characters of a text that are printed; as JSON, all.
const TEXT_CHARS_MAX: usize = 300;
/// Entries read at a time while following.
const CHUNK: usize = 1_000;

#[derive(Debug, Args)]
pub(super) struct Options {
    #[command(flatten)]
    which: Which,
    /// Entries of each stream.
    #[arg(short = 'n', long, default_value_t = 10)]
    lines: usize,
    /// executions, queue or windows; several separated by commas [default: all]
    #[arg(long, value_delimiter = ',', value_parser = crate::cli::known::streams(), hide_possible_values = true)]
    stream: Vec<Stream>,
    /// Go on with what comes, until interrupted.
    #[arg(short, long)]
    follow: bool,
}

pub(super) fn main(options: &Options) -> anyhow::Result<Exit> {
    let mut journal = options.which.open()?.history();
    let streams = if options.stream.is_empty() { Stream::ALL.to_vec() } else { options.stream.clone() };
    let mut printed = PerStream::from_fn(|_| EntryId::default());
    let mut texts = Texts::default();
    let mut entries = read(&streams, |stream| journal.tail(stream, options.lines))?;
    loop {
        texts.read(&mut *journal, &entries).map_err(|error| failed(&error))?;
        output::data(|out| print(out, &entries, &texts, options.which.json))?;
        for entry in &entries {
            printed[entry.record.stream()] = entry.id;
        }
        if !options.follow {
            return Ok(Exit::Ok);
        }
        pause();
        entries = read(&streams, |stream| journal.after(stream, printed[stream], CHUNK))?;
    }
}

/// What statements of a real database ask, by query.
#[derive(Default)]
struct Texts(BTreeMap<QueryId, String>);

impl Texts {
    /// Those of `entries` that are not known yet.
    fn read(&mut self, journal: &mut dyn History, entries: &[Entry]) -> Result<(), ReadError> {
        for query in entries.iter().filter_map(asked) {
            if !self.0.contains_key(&query)
                && let Some(found) = journal.text(query)?
            {
                self.0.insert(query, found.text);
            }
        }
        Ok(())
    }

    fn of(&self, entry: &Entry) -> Option<&str> {
        Some(self.0.get(&asked(entry)?)?)
    }
}

/// Which query a statement of a real database runs.
fn asked(entry: &Entry) -> Option<QueryId> {
    let (query, statement) = match &entry.record {
        Record::Executed(executed) => (executed.query, &executed.statement),
        Record::Queue(event) => (event.query, &event.statement),
        Record::Window(_) => return None,
    };
    statement.is_some().then_some(query)
}

/// The entries that can be read as such; the others are named on standard error.
fn readable(page: Page) -> Vec<Entry> {
    page.unreadable.into_iter().for_each(output::note);
    page.entries
}

#[expect(clippy::disallowed_methods, reason = "this thread does nothing else, there is no arbiter to block")]
fn pause() {
    thread::sleep(LOOK_EVERY);
}

/// The streams' entries in the order of their ids.
fn read(
    streams: &[Stream],
    mut read: impl FnMut(Stream) -> Result<Page, ReadError>,
) -> Result<Vec<Entry>, ExitError> {
    let mut entries = Vec::new();
    for &stream in streams {
        entries.extend(readable(read(stream).map_err(|error| failed(&error))?));
    }
    entries.sort_by_key(|entry| (entry.id, entry.record.stream()));
    Ok(entries)
}

fn print(out: &mut dyn Write, entries: &[Entry], texts: &Texts, json: bool) -> io::Result<()> {
    for entry in entries {
        let (stream, id) = (entry.record.stream(), entry.id);
        if json {
            let fields =
                entry.fields().into_iter().map(|(name, value)| (name.to_owned(), Value::String(value)));
            let fields: Map<_, _> = fields.collect();
            let mut said = json!({"stream": stream, "id": id.to_string(), "fields": fields});
            if let Some(text) = texts.of(entry) {
                said["text"] = text.into();
            }
            writeln!(out, "{said}")?;
        } else {
            write!(out, "{stream:<10} {id}")?;
            for (name, value) in entry.fields() {
                // Only what holds a space needs quotes to be one value.
                if value.is_empty() || value.contains(char::is_whitespace) {
                    write!(out, " {name}={value:?}")?;
                } else {
                    write!(out, " {name}={value}")?;
                }
            }
            match texts.of(entry) {
                Some(text) => {
                    writeln!(out, " text={:?}", text.chars().take(TEXT_CHARS_MAX).collect::<String>())?;
                }
                None => writeln!(out)?,
            }
        }
    }
    Ok(())
}

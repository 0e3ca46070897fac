//! Entries: numbered records, and their flat text fields.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::record::{Executed, Outcome, QueueEvent, QueueRecord, Record, Stream};
use crate::{
    resource::{PerResource, Resource},
    tick::Tick,
    window::{Extent, Window},
};

/// Version of the fields, in every entry as `v`.
const FORMAT_VERSION: u64 = 1;

/// Id of an entry, `<unix ms>-<n>`: the form and the order of Redis Streams.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct EntryId {
    /// Unix milliseconds.
    pub ms: u64,
    /// Counts entries within a millisecond from 0.
    pub n: u64,
}

impl EntryId {
    /// The id before it, with nothing between the two; none before the first.
    pub fn predecessor(self) -> Option<Self> {
        match (self.ms, self.n) {
            (0, 0) => None,
            (ms, 0) => Some(Self { ms: ms - 1, n: u64::MAX }),
            (ms, n) => Some(Self { ms, n: n - 1 }),
        }
    }
}

impl fmt::Display for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.ms, self.n)
    }
}

/// A text that is no entry id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an entry id: it should look like 1800000000000-0")]
pub struct ParseEntryIdError(String);

impl FromStr for EntryId {
    type Err = ParseEntryIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.split_once('-')
            .and_then(|(ms, n)| Some(Self { ms: ms.parse().ok()?, n: n.parse().ok()? }))
            .ok_or_else(|| ParseEntryIdError(text.to_owned()))
    }
}

/// A numbered record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Monotonic per stream.
    pub id: EntryId,
    /// Counts the stream's entries from 1 without gaps.
    pub seq: u64,
    /// What it says.
    pub record: Record,
}

/// Fields that do not make an entry.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// A field is not there.
    #[error("field `{0}` is missing")]
    Missing(&'static str),
    /// A field says something that it cannot mean.
    #[error("field `{field}` is `{value}`: expected {expected}")]
    Invalid {
        /// Its name.
        field: &'static str,
        /// What it says.
        value: String,
        /// What it should be.
        expected: &'static str,
    },
    /// Written by a later evenkeel.
    #[error("format version {0} is not known to this evenkeel, which reads version {FORMAT_VERSION}")]
    Version(u64),
}

impl Entry {
    /// Field names and values, in the order in which a person should read them.
    pub fn fields(&self) -> Vec<(&'static str, String)> {
        let mut fields = vec![("v", FORMAT_VERSION.to_string()), ("seq", self.seq.to_string())];
        match &self.record {
            Record::Executed(executed) => fields.extend([
                ("execution", executed.execution.to_string()),
                ("query", executed.query.to_string()),
                ("queued_tick", executed.queued_tick.to_string()),
                ("due_tick", executed.due_tick.to_string()),
                ("tick", executed.tick.to_string()),
                ("finished_tick", executed.finished_tick.to_string()),
                ("delay", executed.delay_ticks().to_string()),
                ("reason", executed.reason.clone()),
                ("outcome", executed.outcome.name().to_owned()),
                ("executed_at", executed.executed_at_ms.to_string()),
            ]),
            Record::Queue(event) => fields.extend([
                ("event", event.event.name().to_owned()),
                ("execution", event.execution.to_string()),
                ("query", event.query.to_string()),
                ("tick", event.tick.to_string()),
                ("due_tick", event.due_tick.to_string()),
                ("added_ticks", event.added_ticks.to_string()),
            ]),
            Record::Window(window) => {
                fields.extend([
                    ("first_tick", window.first_tick.to_string()),
                    ("last_tick", window.last_tick.to_string()),
                ]);
                for resource in Resource::ALL {
                    let [average, min, max] = extent_names(resource);
                    let extent = window.usage[resource];
                    fields.extend([
                        (average, extent.average.to_string()),
                        (min, extent.min.to_string()),
                        (max, extent.max.to_string()),
                    ]);
                }
                fields.extend([
                    ("executed", window.executed.to_string()),
                    ("in_corridor", u8::from(window.in_corridor).to_string()),
                ]);
            }
        }
        fields
    }

    /// The entry that [`Entry::fields`] wrote. Fields may come in any order, unknown ones are ignored.
    ///
    /// # Errors
    /// [`DecodeError`] names the first field that does not fit.
    pub fn decode<'a>(
        stream: Stream,
        id: EntryId,
        fields: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, DecodeError> {
        let fields = Fields(fields.into_iter().collect());
        match fields.number("v")? {
            FORMAT_VERSION => {}
            other => return Err(DecodeError::Version(other)),
        }
        let record = match stream {
            Stream::Executions => Record::Executed(fields.executed()?),
            Stream::Queue => Record::Queue(fields.queue_record()?),
            Stream::Windows => Record::Window(fields.window()?),
        };
        Ok(Self { id, seq: fields.number("seq")?, record })
    }
}

fn extent_names(resource: Resource) -> [&'static str; 3] {
    match resource {
        Resource::Cpu => ["cpu_average", "cpu_min", "cpu_max"],
        Resource::Io => ["io_average", "io_min", "io_max"],
        Resource::Memory => ["memory_average", "memory_min", "memory_max"],
    }
}

struct Fields<'a>(Vec<(&'a str, &'a str)>);

impl Fields<'_> {
    fn text(&self, field: &'static str) -> Result<&str, DecodeError> {
        let found = self.0.iter().find(|(name, _)| *name == field);
        found.map(|(_, value)| *value).ok_or(DecodeError::Missing(field))
    }

    fn parse<T: FromStr>(&self, field: &'static str, expected: &'static str) -> Result<T, DecodeError> {
        let value = self.text(field)?;
        value.parse().map_err(|_| DecodeError::Invalid { field, value: value.to_owned(), expected })
    }

    fn number(&self, field: &'static str) -> Result<u64, DecodeError> {
        self.parse(field, "an integer of 0 or more")
    }

    fn tick(&self, field: &'static str) -> Result<Tick, DecodeError> {
        self.number(field).map(Tick)
    }

    fn one_of<T: Copy>(
        &self,
        field: &'static str,
        choices: &[(&str, T)],
        expected: &'static str,
    ) -> Result<T, DecodeError> {
        let value = self.text(field)?;
        let found = choices.iter().find(|(name, _)| *name == value);
        found.map(|(_, choice)| *choice).ok_or_else(|| DecodeError::Invalid {
            field,
            value: value.to_owned(),
            expected,
        })
    }

    fn executed(&self) -> Result<Executed, DecodeError> {
        let executed = Executed {
            execution: self.parse("execution", "a uuid")?,
            query: self.parse("query", "a uuid")?,
            queued_tick: self.tick("queued_tick")?,
            due_tick: self.tick("due_tick")?,
            tick: self.tick("tick")?,
            finished_tick: self.tick("finished_tick")?,
            reason: self.text("reason")?.to_owned(),
            outcome: self.one_of(
                "outcome",
                &[Outcome::Ok, Outcome::Failed, Outcome::Unknown].map(|outcome| (outcome.name(), outcome)),
                "ok, failed or unknown",
            )?,
            executed_at_ms: self.number("executed_at")?,
        };
        if self.number("delay")? != executed.delay_ticks() {
            return Err(self.invalid("delay", "tick − queued_tick"));
        }
        Ok(executed)
    }

    fn queue_record(&self) -> Result<QueueRecord, DecodeError> {
        Ok(QueueRecord {
            event: self.one_of(
                "event",
                &[QueueEvent::Queued, QueueEvent::Delayed, QueueEvent::Released]
                    .map(|event| (event.name(), event)),
                "queued, delayed or released",
            )?,
            execution: self.parse("execution", "a uuid")?,
            query: self.parse("query", "a uuid")?,
            tick: self.tick("tick")?,
            due_tick: self.tick("due_tick")?,
            added_ticks: self.number("added_ticks")?,
        })
    }

    fn window(&self) -> Result<Window, DecodeError> {
        let mut usage = PerResource::<Extent>::default();
        for resource in Resource::ALL {
            let [average, min, max] = extent_names(resource);
            usage[resource] =
                Extent { average: self.number(average)?, min: self.number(min)?, max: self.number(max)? };
        }
        Ok(Window {
            first_tick: self.tick("first_tick")?,
            last_tick: self.tick("last_tick")?,
            usage,
            executed: self.number("executed")?,
            in_corridor: self.one_of("in_corridor", &[("0", false), ("1", true)], "0 or 1")?,
        })
    }

    fn invalid(&self, field: &'static str, expected: &'static str) -> DecodeError {
        let value = self.text(field).unwrap_or_default().to_owned();
        DecodeError::Invalid { field, value, expected }
    }
}

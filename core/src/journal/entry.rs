//! Entries: numbered records, and their flat text fields.

use std::{
    fmt::{self, Write as _},
    str::FromStr,
    sync::Arc,
};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    record::{Executed, Outcome, QueueEvent, QueueRecord, Record, Stream},
    statement::{Answer, Statement},
};
use crate::units::{
    resource::{PerResource, Resource},
    tick::Tick,
    window::{Extent, Window},
};

/// Version of the journal: of the fields of new entries, which say it as `v`, and of all that holds them.
///
/// 2 adds to 1: `tenant` and `trace` of an execution, where they are known; an execution that ends later than it began;
/// executions that are released before they are sent, and dropped; `running` and `incomplete` of a window; of a real
/// database whose statement it is, and what was answered.
pub const FORMAT: u64 = 2;
/// The first version. What was written in it stays in it.
pub const FIRST_FORMAT: u64 = 1;
/// Fields of an executed statement, of which there are most.
const FIELDS_MAX: usize = 29;

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
    /// The version that it was written in, which stays its own wherever it is copied to.
    pub version: u64,
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
    #[error("format version {0} is not known to this evenkeel, which reads up to version {FORMAT}")]
    Version(u64),
}

impl Entry {
    /// Field names and values, in the order in which a person should read them.
    pub fn fields(&self) -> Vec<(&'static str, String)> {
        let mut fields = Vec::with_capacity(FIELDS_MAX);
        self.each_field(|name, value| fields.push((name, value.to_owned())));
        fields
    }

    /// Passes the [`Entry::fields`] to `each`, one after the other: millions of entries need no memory of their own.
    pub fn each_field(&self, mut each: impl FnMut(&'static str, &str)) {
        let mut digits = String::with_capacity(20);
        let mut put = |name, value: Value<'_>| match value {
            Value::Signed(number) => {
                digits.clear();
                write!(digits, "{number}").expect("a text takes what is written");
                each(name, &digits);
            }
            Value::Number(number) => {
                digits.clear();
                write!(digits, "{number}").expect("a text takes what is written");
                each(name, &digits);
            }
            Value::Id(id) => each(name, id.hyphenated().encode_lower(&mut Uuid::encode_buffer())),
            Value::Text(text) => each(name, text),
        };
        let (number, tick) = (Value::Number, |Tick(tick)| Value::Number(tick));
        put("v", number(self.version));
        put("seq", number(self.seq));
        match &self.record {
            Record::Executed(executed) => {
                put("execution", Value::Id(executed.execution.0));
                put("query", Value::Id(executed.query.0));
                put("queued_tick", tick(executed.queued_tick));
                put("due_tick", tick(executed.due_tick));
                put("tick", tick(executed.tick));
                put("finished_tick", tick(executed.finished_tick));
                put("delay", number(executed.delay_ticks()));
                put("reason", Value::Text(&executed.reason));
                put("outcome", Value::Text(executed.outcome.name()));
                put("executed_at", number(executed.executed_at_ms));
                for (name, said) in [("tenant", &executed.tenant), ("trace", &executed.trace)] {
                    if let Some(said) = said {
                        put(name, Value::Text(said));
                    }
                }
                put_statement(&mut put, executed.statement.as_deref());
                put_answer(&mut put, executed.answer.as_deref());
            }
            Record::Queue(event) => {
                put("event", Value::Text(event.event.name()));
                put("execution", Value::Id(event.execution.0));
                put("query", Value::Id(event.query.0));
                put("tick", tick(event.tick));
                put("due_tick", tick(event.due_tick));
                put("added_ticks", number(event.added_ticks));
                put_statement(&mut put, event.statement.as_deref());
            }
            Record::Window(window) => {
                put("first_tick", tick(window.first_tick));
                put("last_tick", tick(window.last_tick));
                for resource in Resource::ALL {
                    let [average, min, max] = extent_names(resource);
                    let extent = window.usage[resource];
                    put(average, number(extent.average));
                    put(min, number(extent.min));
                    put(max, number(extent.max));
                }
                put("executed", number(window.executed));
                put("in_corridor", number(window.in_corridor.into()));
                if window.running > 0 {
                    put("running", number(window.running));
                }
                if window.incomplete {
                    put("incomplete", number(1));
                }
            }
        }
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
        let version = fields.number("v")?;
        match version {
            FIRST_FORMAT..=FORMAT => {}
            0 => return Err(fields.invalid("v", "a format that there is, from 1 on")),
            newer => return Err(DecodeError::Version(newer)),
        }
        let record = match stream {
            Stream::Executions => Record::Executed(fields.executed(version)?),
            Stream::Queue => Record::Queue(fields.queue_record(version)?),
            Stream::Windows => Record::Window(fields.window(version)?),
        };
        Ok(Self { id, seq: fields.number("seq")?, version, record })
    }
}

/// What a field says, before it is text.
#[derive(Clone, Copy)]
enum Value<'a> {
    Number(u64),
    Signed(i64),
    Id(Uuid),
    Text(&'a str),
}

fn put_statement<'a>(put: &mut impl FnMut(&'static str, Value<'a>), statement: Option<&'a Statement>) {
    let Some(statement) = statement else { return };
    put("class", Value::Text(&statement.class));
    put("user", Value::Text(&statement.user));
    put("database", Value::Text(&statement.database));
    put("application", Value::Text(&statement.application));
    put("client", Value::Text(&statement.client));
    put("session", Value::Id(statement.session));
    if let Some(transaction) = statement.transaction {
        put("transaction", Value::Number(transaction));
    }
    put("pid", Value::Signed(statement.pid.into()));
    if let Some(start) = statement.backend_start {
        put("backend_start", Value::Signed(start));
    }
    if let Some(tag) = &statement.tag {
        put("tag", Value::Text(tag));
    }
}

fn put_answer<'a>(put: &mut impl FnMut(&'static str, Value<'a>), answer: Option<&'a Answer>) {
    let Some(answer) = answer else { return };
    if let Some(sqlstate) = &answer.sqlstate {
        put("sqlstate", Value::Text(sqlstate));
    }
    if let Some(rows) = answer.rows {
        put("rows", Value::Number(rows));
    }
    put("duration_us", Value::Number(answer.duration_us));
    if let Some(cpu) = answer.cpu_us {
        put("cpu_us", Value::Number(cpu));
    }
    if let Some(note) = &answer.note {
        put("note", Value::Text(note));
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

    /// A text that need not be there.
    fn optional(&self, field: &'static str, version: u64) -> Option<String> {
        self.has(field, version).then(|| self.text(field).unwrap_or_default().to_owned())
    }

    /// Whether a field is there that format 2 added; one of that name means nothing before.
    fn has(&self, field: &str, version: u64) -> bool {
        version > FIRST_FORMAT && self.0.iter().any(|(name, _)| *name == field)
    }

    fn executed(&self, version: u64) -> Result<Executed, DecodeError> {
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
            tenant: self.optional("tenant", version),
            trace: self.optional("trace", version),
            statement: self.statement(version)?,
            answer: self.answer(version)?,
        };
        if self.number("delay")? != executed.delay_ticks() {
            return Err(self.invalid("delay", "tick − queued_tick"));
        }
        Ok(executed)
    }

    fn queue_record(&self, version: u64) -> Result<QueueRecord, DecodeError> {
        let named = |event: QueueEvent| (event.name(), event);
        let event = if version == FIRST_FORMAT {
            self.one_of("event", &QueueEvent::FIRST.map(named), "queued, delayed or released")
        } else {
            self.one_of("event", &QueueEvent::ALL.map(named), "queued, delayed, released or dropped")
        };
        Ok(QueueRecord {
            event: event?,
            execution: self.parse("execution", "a uuid")?,
            query: self.parse("query", "a uuid")?,
            tick: self.tick("tick")?,
            due_tick: self.tick("due_tick")?,
            added_ticks: self.number("added_ticks")?,
            statement: self.statement(version)?,
        })
    }

    /// Told by its class: an execution of a simulated database has none.
    fn statement(&self, version: u64) -> Result<Option<Arc<Statement>>, DecodeError> {
        if !self.has("class", version) {
            return Ok(None);
        }
        let text = |field| self.text(field).map(str::to_owned);
        Ok(Some(Arc::new(Statement {
            class: text("class")?,
            user: text("user")?,
            database: text("database")?,
            application: text("application")?,
            client: text("client")?,
            session: self.parse("session", "a uuid")?,
            transaction: self.known("transaction", version, "an integer of 0 or more")?,
            pid: self.parse("pid", "a process id")?,
            backend_start: self.known("backend_start", version, "an integer")?,
            tag: self.optional("tag", version),
        })))
    }

    /// Told by how long it took.
    fn answer(&self, version: u64) -> Result<Option<Box<Answer>>, DecodeError> {
        if !self.has("duration_us", version) {
            return Ok(None);
        }
        Ok(Some(Box::new(Answer {
            sqlstate: self.optional("sqlstate", version),
            rows: self.known("rows", version, "an integer of 0 or more")?,
            duration_us: self.number("duration_us")?,
            cpu_us: self.known("cpu_us", version, "an integer of 0 or more")?,
            note: self.optional("note", version),
        })))
    }

    /// A value that need not be there.
    fn known<T: FromStr>(
        &self,
        field: &'static str,
        version: u64,
        expected: &'static str,
    ) -> Result<Option<T>, DecodeError> {
        self.has(field, version).then(|| self.parse(field, expected)).transpose()
    }

    fn window(&self, version: u64) -> Result<Window, DecodeError> {
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
            running: if self.has("running", version) { self.number("running")? } else { 0 },
            incomplete: self.has("incomplete", version)
                && self.one_of("incomplete", &[("0", false), ("1", true)], "0 or 1")?,
        })
    }

    fn invalid(&self, field: &'static str, expected: &'static str) -> DecodeError {
        let value = self.text(field).unwrap_or_default().to_owned();
        DecodeError::Invalid { field, value, expected }
    }
}

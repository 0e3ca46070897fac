//! What people want to know of the other side: the client writes it to Redis once a second, the server reads it.

use evenkeel_core::{
    insight::report::{LearnedCosts, Report},
    journal::{EntryId, NewerFormat, PerStream, Stream},
};
use redis::{Value, cmd, pipe};

use super::{
    fields::{array, pairs, parsed, take, text},
    keys::Keys,
    link::{Link, RedisFault},
    target::Target,
};

/// Fields of the client's hash.
const REPORT: &str = "report";
const COSTS_BEAT: &str = "costs_beat";
/// Format of the report and of the learned costs: beside them, where an earlier server passes over it.
const REPORT_FORMAT_FIELD: &str = "report_format";
const REPORT_FORMAT: u64 = 1;

/// A connection that is made when it is needed, and anew after a fault.
struct Connection {
    target: Target,
    link: Option<Link>,
}

impl Connection {
    fn with<T>(&mut self, call: impl FnOnce(&mut Link) -> Result<T, RedisFault>) -> Result<T, RedisFault> {
        let link = match &mut self.link {
            Some(link) => link,
            None => self.link.insert(Link::open(&self.target)?),
        };
        let called = call(link);
        if called.is_err() {
            self.link = None;
        }
        called
    }
}

/// Writes what a client tells. Blocking.
pub struct ReportWriter {
    connection: Connection,
    keys: Keys,
}

impl ReportWriter {
    /// A writer for the client of the database with these keys.
    pub fn new(target: Target, keys: Keys) -> Self {
        Self { connection: Connection { target, link: None }, keys }
    }

    /// Tells `report`, and `costs` when they are news.
    ///
    /// # Errors
    /// [`RedisFault`]; the next report is tried afresh.
    pub fn publish(&mut self, report: &Report, costs: Option<&LearnedCosts>) -> Result<(), RedisFault> {
        let json = |value: serde_json::Result<String>| {
            value.map_err(|error| RedisFault::Unexpected(format!("a report has no JSON form: {error}")))
        };
        let (client, estimates) = (self.keys.client(), self.keys.estimates());
        let mut told = pipe();
        told.cmd("HSET").arg(&client).arg(REPORT).arg(json(serde_json::to_string(report))?);
        told.cmd("HSET").arg(&client).arg(REPORT_FORMAT_FIELD).arg(REPORT_FORMAT);
        if let Some(costs) = costs {
            told.cmd("SET").arg(&estimates).arg(json(serde_json::to_string(costs))?);
            told.cmd("HSET").arg(&client).arg(COSTS_BEAT).arg(report.beat);
        }
        self.connection.with(|link| {
            let answers = link.pipe(&told)?;
            answers.into_iter().find_map(super::link::refused).map_or(Ok(()), Err)
        })
    }
}

/// A consumer group, as Redis shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupState {
    /// Its name.
    pub name: String,
    /// Consumers that it knows.
    pub consumers: u64,
    /// Entries that were delivered and not acknowledged.
    pub pending: u64,
    /// The last one that was delivered.
    pub last_delivered: EntryId,
    /// Entries that were not delivered, where Redis knows.
    pub lag: Option<u64>,
}

/// What Redis shows of the client's side.
#[derive(Clone, Debug, Default)]
pub struct Told {
    /// What the client told last; none before it has.
    pub report: Option<Report>,
    /// Learned costs, when they are other ones than at the last reading.
    pub costs: Option<LearnedCosts>,
    /// Length of each stream.
    pub lengths: PerStream<u64>,
    /// Groups of each stream.
    pub groups: PerStream<Vec<GroupState>>,
    /// Entries that clients had to leave out.
    pub dead_letters: u64,
    /// Why nothing of what the client tells can be read.
    pub newer: Option<NewerFormat>,
}

/// Reads what the client tells. Blocking.
pub struct ReportReader {
    connection: Connection,
    keys: Keys,
    costs_beat: Option<u64>,
}

impl ReportReader {
    /// A reader for the database with these keys.
    pub fn new(target: Target, keys: Keys) -> Self {
        Self { connection: Connection { target, link: None }, keys, costs_beat: None }
    }

    /// What is told now.
    ///
    /// # Errors
    /// [`RedisFault`]; the next reading is tried afresh.
    pub fn read(&mut self) -> Result<Told, RedisFault> {
        let (keys, costs_beat) = (&self.keys, &mut self.costs_beat);
        self.connection.with(|link| read(link, keys, costs_beat))
    }
}

fn read(link: &mut Link, keys: &Keys, costs_beat: &mut Option<u64>) -> Result<Told, RedisFault> {
    let mut asked = pipe();
    asked.cmd("HGET").arg(keys.client()).arg(REPORT);
    asked.cmd("HGET").arg(keys.client()).arg(COSTS_BEAT);
    asked.cmd("HGET").arg(keys.client()).arg(REPORT_FORMAT_FIELD);
    asked.cmd("HLEN").arg(keys.dead());
    for stream in Stream::ALL {
        asked.cmd("XLEN").arg(keys.stream(stream));
        asked.cmd("XINFO").arg("GROUPS").arg(keys.stream(stream));
    }
    let mut answers = link.pipe(&asked)?.into_iter();
    let mut next = || answers.next().unwrap_or_default();
    let (report, beat, format, dead) = (next(), next(), next(), next());
    let theirs = if format == Value::Nil { REPORT_FORMAT } else { parsed(format)? };
    let newer = (theirs > REPORT_FORMAT).then(|| NewerFormat {
        what: "what the client tells through Redis".to_owned(),
        theirs,
        ours: REPORT_FORMAT,
    });
    let mut told = Told {
        report: if newer.is_some() { None } else { decoded(report, "the client's report")? },
        dead_letters: parsed(dead)?,
        newer,
        ..Told::default()
    };
    for stream in Stream::ALL {
        let (length, groups) = (next(), next());
        told.lengths[stream] = parsed(length)?;
        told.groups[stream] = match groups {
            // The stream is not there yet.
            Value::ServerError(_) => Vec::new(),
            groups => array(groups)?.into_iter().map(group).collect::<Result<_, _>>()?,
        };
    }
    let beat = if beat == Value::Nil { None } else { Some(parsed(beat)?) };
    if told.newer.is_none() && beat != *costs_beat {
        told.costs = decoded(link.call(cmd("GET").arg(keys.estimates()))?, "the learned costs")?;
        *costs_beat = beat;
    }
    Ok(told)
}

/// Whoever writes to Redis can write anything: what cannot be read is said, and is no reason to fail elsewhere.
fn decoded<T: serde::de::DeserializeOwned>(value: Value, what: &str) -> Result<Option<T>, RedisFault> {
    if value == Value::Nil {
        return Ok(None);
    }
    let text = text(value)?;
    serde_json::from_str(&text)
        .map(Some)
        .map_err(|error| RedisFault::Unexpected(format!("{what} cannot be read: {error}")))
}

fn group(value: Value) -> Result<GroupState, RedisFault> {
    let mut found = pairs(value)?;
    let lag = match take(&mut found, "lag") {
        Ok(Value::Nil) | Err(_) => None,
        Ok(lag) => Some(parsed(lag)?),
    };
    Ok(GroupState {
        name: text(take(&mut found, "name")?)?,
        consumers: parsed(take(&mut found, "consumers")?)?,
        pending: parsed(take(&mut found, "pending")?)?,
        last_delivered: parsed(take(&mut found, "last-delivered-id")?)?,
        lag,
    })
}

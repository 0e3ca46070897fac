//! The outbox's entries on their way to Redis: one writer, one connection, in id order.
//!
//! Invariant: the cursor is what Redis has, asked of Redis after every reconnect, never what was sent. A
//! batch goes in one transaction, refused as a whole when Redis is full or somebody else has become
//! the writer, and a batch that comes twice completes itself.

use std::path::Path;

#[cfg(feature = "mutants")]
use evenkeel_core::mutant::{self, Mutant};
use evenkeel_core::{
    journal::{Entry, EntryId, PerStream, Positions, Stream},
    units::tick::Tick,
};
use redis::{Pipeline, Value, cmd, pipe};

use super::{
    GROUP,
    ahead::Ahead,
    backlog::Backlog,
    claim::{LEASE_FIELDS, OldReaders, check_policy, claim, older, other_journal},
    fields::{self, Stored, array, optional, pairs, parsed, take, text, xadd},
    link::{Link, RedisFault, refused},
    scripts::Scripts,
    shipping::{Lost, ShipmentSettings, ShippingFault},
    texts::Texts,
};
use crate::{
    ports::{history::ReadError, sink::Shipped},
    stores::outbox::OutboxReader,
    supervise::fault,
};

/// Entries of a stream in one transaction: about a MB, some 20 ms of Redis' time.
const BATCH_MAX: usize = 2_000;
/// Entries that one step of trimming removes from a stream: Redis does nothing else meanwhile.
const TRIM_MAX: u64 = 10_000;
/// Times that a batch is sent before others are found to change what it rests on all the time. Who takes the lease
/// refuses one batch.
const TRIES_MAX: u32 = 3;
/// Steps of that in a row: 20,000 executions a second are kept up with, and the next batch waits for less than a second.
const TRIM_STEPS_MAX: u32 = 10;

/// See the module. Blocking.
pub struct Shipment {
    settings: ShipmentSettings,
    scripts: Scripts,
    backlog: Box<dyn Backlog>,
    readers: OldReaders,
    link: Option<Link>,
    /// Begins anew with every connection.
    ahead: Ahead,
    shipped: Shipped,
    /// The most that Redis has had since this server started.
    highest_seq: PerStream<u64>,
    /// The tick that Redis tells, once it is known.
    tick: Option<Tick>,
    lost: Vec<Lost>,
    texts: Texts,
    warnings: Vec<String>,
    batch_max: usize,
}

impl Shipment {
    /// A shipment from the outbox in `dir`, not connected yet.
    ///
    /// # Errors
    /// The outbox cannot be read.
    pub fn new(settings: ShipmentSettings, dir: &Path) -> Result<Self, ReadError> {
        Ok(Self::of(settings, Box::new(OutboxReader::open(dir)?)))
    }

    /// A shipment of `backlog`, not connected yet.
    pub(crate) fn of(settings: ShipmentSettings, backlog: Box<dyn Backlog>) -> Self {
        Self {
            settings,
            scripts: Scripts::new(),
            backlog,
            readers: OldReaders::default(),
            link: None,
            ahead: Ahead::default(),
            shipped: Shipped::default(),
            highest_seq: PerStream::default(),
            tick: None,
            lost: Vec::new(),
            texts: Texts::default(),
            warnings: Vec::new(),
            batch_max: BATCH_MAX,
        }
    }

    /// The same with smaller batches, so that a few entries are several.
    #[cfg(test)]
    pub(crate) fn with_batches_of(mut self, entries: usize) -> Self {
        self.batch_max = entries;
        self
    }

    /// Sends what is next, connecting first where that is needed.
    ///
    /// # Errors
    /// [`ShippingFault`]; the next call connects anew.
    pub fn ship(&mut self) -> Result<Shipped, ShippingFault> {
        let shipped = self.try_ship();
        if shipped.is_err() {
            self.link = None;
        }
        shipped
    }

    /// Removes what retention no longer keeps in Redis, and notices what somebody else removed.
    ///
    /// # Errors
    /// [`ShippingFault`].
    pub fn trim(&mut self) -> Result<(), ShippingFault> {
        let trimmed = self.try_trim();
        if trimmed.is_err() {
            self.link = None;
        }
        trimmed
    }

    /// What has been lost since the last call.
    pub fn take_lost(&mut self) -> Vec<Lost> {
        std::mem::take(&mut self.lost)
    }

    /// What a person should know of this Redis, as long as it is so.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    fn try_ship(&mut self) -> Result<Shipped, ShippingFault> {
        let mut link = match self.link.take() {
            Some(link) => link,
            None => self.attach()?,
        };
        let (entries, tick) = self.ahead.take(&*self.backlog, self.batch_max)?;
        if self.tick != tick || !entries.is_empty() {
            self.send(&mut link, &entries, tick)?;
            self.tick = tick;
        }
        self.shipped.more = self.ahead.more() | self.ship_texts(&mut link)?;
        self.link = Some(link);
        Ok(self.shipped.clone())
    }

    /// Whether more texts wait.
    fn ship_texts(&mut self, link: &mut Link) -> Result<bool, ShippingFault> {
        let told = self.texts.trouble.is_some();
        let more = self.texts.ship(link, &self.settings.keys, &*self.backlog)?;
        if !told {
            self.warnings.extend(self.texts.trouble.clone());
        }
        Ok(more)
    }

    fn send(&mut self, link: &mut Link, entries: &[Entry], tick: Option<Tick>) -> Result<(), ShippingFault> {
        let mut batch = pipe();
        for entry in entries {
            batch.add_command(xadd(&self.settings.keys.stream(entry.record.stream()), entry));
        }
        if let Some(tick) = tick {
            batch.cmd("HSET").arg(self.settings.keys.meta()).arg("tick").arg(tick.0);
        }
        let answers = self.send_watched(link, &mut batch)?;
        for (entry, answer) in entries.iter().zip(answers) {
            if answer == Value::Nil {
                return Err(RedisFault::Gone(self.settings.keys.stream(entry.record.stream())).into());
            }
            // An id that is equal or smaller: whether it is ours shows after the reconnect.
            text(answer)?;
            self.shipped.last.advance(entry.record.stream(), entry.id);
            self.shipped.last_seq[entry.record.stream()] = entry.seq;
        }
        Ok(())
    }

    /// Sends `batch` in one transaction that rests on what was looked at just before, and reads on meanwhile.
    fn send_watched(&mut self, link: &mut Link, batch: &mut Pipeline) -> Result<Vec<Value>, ShippingFault> {
        for _ in 0..TRIES_MAX {
            self.look(link)?;
            let mut read = Ok(());
            let answers =
                link.transaction_during(batch, || read = self.ahead.read_on(&*self.backlog, self.batch_max))?;
            fault::point!("after-ship-reply");
            read?;
            // Without answers somebody has changed what was looked at: that may forbid the batch.
            if let Some(answers) = answers {
                return Ok(answers);
            }
        }
        Err(RedisFault::Away("others change the lease or `meta` all the time".to_owned()).into())
    }

    /// Sees that this is still the writer, and that who reads can read what is written. The next transaction is refused
    /// where that changes. A lease that is held is not watched: its holder moves it all the time, and nobody takes it
    /// before it has stood still for longer than a batch takes.
    fn look(&mut self, link: &mut Link) -> Result<(), ShippingFault> {
        let watches_lease = self.readers.may_come;
        self.look_watching(link, watches_lease)?;
        if self.readers.may_come && !watches_lease {
            self.look_watching(link, true)?;
        }
        Ok(())
    }

    fn look_watching(&mut self, link: &mut Link, lease_too: bool) -> Result<(), ShippingFault> {
        let ShipmentSettings { keys, journal, writer_epoch, writer: ours, .. } = &self.settings;
        let mut look = pipe();
        // A watched key that was touched stays so until then.
        look.cmd("UNWATCH").cmd("WATCH").arg(keys.meta());
        if lease_too {
            // A command of its own: rights to several keys of one command must stand in one place.
            look.cmd("WATCH").arg(keys.lease());
        }
        look.cmd("HMGET").arg(keys.meta()).arg("journal").arg("writer_epoch").arg("writer").arg("label");
        look.cmd("HMGET").arg(keys.lease()).arg(&LEASE_FIELDS);
        let mut answers = link.pipe(&look)?;
        // What could not be watched would be taken for unchanged.
        if let Some(fault) = answers.iter().cloned().find_map(refused) {
            return Err(fault.into());
        }
        let lease = answers.pop().unwrap_or(Value::Nil);
        let found = answers.pop().map(array).transpose()?.unwrap_or_default();
        let [theirs, epoch, writer, label] =
            <[Value; 4]>::try_from(found).map_err(|_| RedisFault::Unexpected("HMGET".to_owned()))?;
        let Some(theirs) = optional(theirs)? else {
            return Err(RedisFault::Gone(keys.meta()).into());
        };
        if theirs != journal.to_string() {
            return Err(other_journal(&self.settings, theirs, optional(label)?));
        }
        let epoch: u64 = parsed(epoch)?;
        if epoch != *writer_epoch || optional(writer)? != Some(ours.to_string()) {
            return Err(ShippingFault::Replaced { ours: *writer_epoch, theirs: epoch });
        }
        self.readers.judge(&self.settings, lease)
    }

    /// Connects, claims the streams, and asks Redis how far they go.
    fn attach(&mut self) -> Result<Link, ShippingFault> {
        let keys = &self.settings.keys;
        let mut link = Link::open(&self.settings.target)?;
        self.warnings = check_policy(&mut link)?;
        self.texts = Texts::default();
        let next_tick = self.backlog.since(&Positions::end(), 1)?.next_tick;
        let lease = link.call(cmd("HMGET").arg(keys.lease()).arg(&LEASE_FIELDS))?;
        self.readers.judge(&self.settings, lease)?;
        claim(&mut link, &self.scripts, &self.settings, next_tick)?;
        for stream in Stream::ALL {
            let known = &mut self.highest_seq[stream];
            *known = self.shipped.last_seq[stream].max(*known);
        }
        #[cfg(feature = "mutants")]
        let before = self.shipped.clone();
        self.shipped = Shipped::default();
        self.tick = None;
        for stream in Stream::ALL {
            self.attach_stream(&mut link, stream)?;
        }
        #[cfg(feature = "mutants")]
        if mutant::is(Mutant::StaleCursor) && before != Shipped::default() {
            self.shipped = before;
        }
        self.ahead = Ahead::of(&self.shipped.last);
        self.look(&mut link)?;
        Ok(link)
    }

    fn attach_stream(&mut self, link: &mut Link, stream: Stream) -> Result<(), ShippingFault> {
        let key = self.settings.keys.stream(stream);
        create_group(link, &key)?;
        let Info { last, first_seq, last_entry, .. } = info(link, stream, &key)?;
        let (our_last, our_last_seq, first_kept) = self.backlog.end(stream)?;
        let foreign = |what| ShippingFault::Foreign { key: key.clone(), id: last, what };
        if last > our_last {
            // `meta` has been lost, and the stream still shows it.
            if let Some(Stored::Entry(later)) = &last_entry
                && later.id == last
                && later.seq > our_last_seq
            {
                let next_tick = self.backlog.since(&Positions::end(), 1)?.next_tick;
                let theirs = format!("{stream} entry {} ({last})", later.seq);
                return Err(older(&self.settings, theirs, next_tick));
            }
            return Err(foreign("it is later than this journal's last one"));
        }
        let mut last_seq = 0;
        if last > EntryId::default() {
            let entry = self.backlog.entry(stream, last)?;
            let there = last_entry.filter(|there| there.id() == last);
            last_seq = match (entry, there) {
                (Some(ours), Some(Stored::Entry(there))) if ours == there => ours.seq,
                (Some(_), Some(_)) => return Err(foreign("under that id this journal has another entry")),
                (Some(ours), None) => ours.seq,
                // Trimmed from the outbox long ago: only Redis knows it.
                (None, Some(Stored::Entry(there))) if there.seq < first_kept => there.seq,
                (None, None) if last == our_last => our_last_seq,
                // Redis went back to an entry that both have removed since: all that is no longer kept here is gone.
                (None, None) if self.keeps_nothing_up_to(stream, last)? => first_kept - 1,
                _ => return Err(foreign("this journal has no entry with that id")),
            };
        }
        let lost_suffix = std::mem::take(&mut self.highest_seq[stream]);
        if last_seq < lost_suffix {
            let (first, last) = (last_seq + 1, lost_suffix);
            tracing::warn!(%stream, first, last, "Redis lost entries: they are sent again under the same ids");
        }
        if first_kept > last_seq + 1 {
            self.lose(link, Lost { stream, first: last_seq + 1, last: first_kept - 1 })?;
        }
        if last == EntryId::default() {
            // Made anew: it begins with what the outbox still has.
            self.note_first(link, stream, first_kept)?;
        } else if let Some(first) = first_seq.left(last_seq) {
            self.notice_removed(link, stream, first)?;
        }
        self.shipped.last.advance(stream, last);
        self.shipped.last_seq[stream] = last_seq;
        Ok(())
    }

    /// Whether the outbox begins after `id`.
    fn keeps_nothing_up_to(&self, stream: Stream, id: EntryId) -> Result<bool, ReadError> {
        let first = self.backlog.since(&Positions::default(), 1)?.entries;
        Ok(first[stream].first().is_none_or(|first| id < first.id))
    }

    /// Compares with what our own trimming has left, which Redis notes in `meta`: so what somebody else removed is noticed
    /// whenever it was, also while no server lived.
    fn notice_removed(&mut self, link: &mut Link, stream: Stream, first: u64) -> Result<(), ShippingFault> {
        let mut ask = cmd("HMGET");
        ask.arg(self.settings.keys.meta()).arg(first_field(stream));
        let noted = array(link.call(&ask)?)?.pop().map(optional).transpose()?.flatten();
        let known: Option<u64> = noted.and_then(|noted| noted.parse().ok());
        match known {
            Some(known) if first <= known => return Ok(()),
            Some(known) => self.lose(link, Lost { stream, first: known, last: first - 1 })?,
            None => {}
        }
        self.note_first(link, stream, first)
    }

    fn note_first(&self, link: &mut Link, stream: Stream, first: u64) -> Result<(), ShippingFault> {
        let mut note = cmd("HSET");
        note.arg(self.settings.keys.meta()).arg(first_field(stream)).arg(first);
        Ok(link.call(&note).map(drop)?)
    }

    /// Notes a loss where people and `journal verify` find it.
    fn lose(&mut self, link: &mut Link, lost: Lost) -> Result<(), ShippingFault> {
        let Lost { stream, first, last } = &lost;
        link.call(
            cmd("HSETNX")
                .arg(self.settings.keys.meta())
                .arg(format!("lost:{stream}:{first}-{last}"))
                .arg(crate::clock::unix_ms()),
        )?;
        self.lost.push(lost);
        Ok(())
    }

    fn try_trim(&mut self) -> Result<(), ShippingFault> {
        let Some(mut link) = self.link.take() else { return Ok(()) };
        self.warnings = check_policy(&mut link)?;
        // Of what Redis tells: what has not been shipped makes nothing older there.
        let age_max_ms = self.settings.age_max.as_millis() as u64;
        let oldest_tick =
            self.tick.unwrap_or_default().before_ms(age_max_ms, self.settings.lengths.tick_ms).to_string();
        let entries_max = self.settings.entries_max.to_string();
        for stream in Stream::ALL {
            let key = self.settings.keys.stream(stream);
            create_group(&mut link, &key)?;
            let found = info(&mut link, stream, &key)?;
            if let Some(first) = found.first_seq.left(self.shipped.last_seq[stream]) {
                self.notice_removed(&mut link, stream, first)?;
            }
            let keys = [key.clone(), self.settings.keys.client(), self.settings.keys.meta()];
            let arguments = [
                oldest_tick.as_bytes(),
                entries_max.as_bytes(),
                &TRIM_MAX.to_string().into_bytes(),
                stream.name().as_bytes(),
            ];
            #[cfg(feature = "mutants")]
            if mutant::is(Mutant::MaxlenTrim) {
                link.call(cmd("XTRIM").arg(&key).arg("MAXLEN").arg(&entries_max))?;
            }
            for _ in 0..TRIM_STEPS_MAX {
                let removed: u64 = parsed(link.script(&self.scripts.trim, &keys, &arguments)?)?;
                if removed == 0 {
                    break;
                }
            }
        }
        self.look(&mut link)?;
        self.link = Some(link);
        Ok(())
    }
}

/// Creates the stream and its group where they are not there: the client then gets everything again, and passes over
/// what it has applied.
fn create_group(link: &mut Link, key: &str) -> Result<(), RedisFault> {
    match link.call(cmd("XGROUP").arg("CREATE").arg(key).arg(GROUP).arg("0").arg("MKSTREAM")) {
        Ok(_) => {
            tracing::info!(key, "a stream or its group was not in Redis and has been created");
            Ok(())
        }
        Err(fault) if fault.to_string().contains("BUSYGROUP") => Ok(()),
        Err(fault) => Err(fault),
    }
}

/// The field of `meta` with the first sequence number that our own trimming has left; `trim.lua` writes it, too.
fn first_field(stream: Stream) -> String {
    format!("first:{stream}")
}

/// A stream as `XINFO STREAM` tells it.
struct Info {
    last: EntryId,
    first_seq: First,
    last_entry: Option<Stored>,
}

/// The number of a stream's first entry.
enum First {
    /// There is no entry.
    Nothing,
    Seq(u64),
    /// It cannot be read: what is left is not known from it.
    Unreadable,
}

impl First {
    /// The first number that is left of those up to `last`, where that is known.
    fn left(&self, last: u64) -> Option<u64> {
        match self {
            Self::Nothing => Some(last + 1),
            Self::Seq(seq) => Some(*seq),
            Self::Unreadable => None,
        }
    }
}

fn info(link: &mut Link, stream: Stream, key: &str) -> Result<Info, RedisFault> {
    let mut info = pairs(link.call(cmd("XINFO").arg("STREAM").arg(key))?)?;
    let mut end = |name: &str| -> Result<Option<Stored>, RedisFault> {
        let entry = take(&mut info, name)?;
        if entry == Value::Nil {
            return Ok(None);
        }
        Ok(fields::stored(stream, Value::Array(vec![entry]))?.pop())
    };
    let first_seq = match end("first-entry")? {
        Some(Stored::Entry(entry)) => First::Seq(entry.seq),
        Some(_) => First::Unreadable,
        None => First::Nothing,
    };
    let last_entry = end("last-entry")?;
    let last = parsed(take(&mut info, "last-generated-id")?)?;
    Ok(Info { last, first_seq, last_entry })
}

//! A backend of the modelled PostgreSQL: one connection, its messages one after the other, a statement in several steps.
//!
//! Transactions are as PostgreSQL has them: what stands outside of a block is committed with the Sync or the text, a
//! BEGIN takes into its block what came before it in the same batch, COMMIT and ROLLBACK end that, too.

use std::{collections::BTreeMap, mem};

use evenkeel_core::postgres::frames::{Fields, put, put_text};
use tokio::time::Instant;

use super::{
    super::dice::Draws as _,
    database::Spoken,
    texts::{Does, Key, Message, Text, take_message, take_packet},
    wire::Line,
    world::Around,
};

const CANCEL: u32 = 80_877_102;

/// A cancel that is to be passed on.
pub(super) struct Asks {
    pub(super) pid: i32,
    pub(super) secret: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Startup,
    Password,
    Open,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Block {
    Outside,
    Inside,
    Failed,
}

/// A statement that runs.
struct Run {
    does: Does,
    key: Option<Key>,
    written: Instant,
    /// Steps that it still takes.
    steps: u64,
    /// Of a text with others.
    among_others: bool,
    /// More rows than the limit allows.
    suspends: bool,
}

struct Portal {
    text: Text,
    suspended: bool,
}

/// See the module.
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own about the connection")]
pub(super) struct Backend {
    pub(super) pid: i32,
    secret: u32,
    line: Line,
    taken: usize,
    phase: Phase,
    block: Block,
    /// What the transaction has done, and nobody sees yet.
    pending: Vec<Key>,
    statements: BTreeMap<Vec<u8>, Text>,
    portals: BTreeMap<Vec<u8>, Portal>,
    /// Up to the next Sync.
    skipping: bool,
    /// The text that runs, and how far it is.
    text: Option<(Text, usize, Instant)>,
    run: Option<Run>,
    canceled: bool,
    asks: Option<Asks>,
    dead: bool,
    /// Whether evenkeel asks for itself.
    own: bool,
    said: Vec<Message>,
}

impl Backend {
    pub(super) fn new(pid: i32, secret: u32, line: Line) -> Self {
        Self {
            pid,
            secret,
            line,
            taken: 0,
            phase: Phase::Startup,
            block: Block::Outside,
            pending: Vec::new(),
            statements: BTreeMap::new(),
            portals: BTreeMap::new(),
            skipping: false,
            text: None,
            run: None,
            canceled: false,
            asks: None,
            dead: false,
            own: false,
            said: Vec::new(),
        }
    }

    pub(super) fn start(&self) -> i64 {
        1_800_000_000_000_000 + i64::from(self.pid)
    }

    pub(super) fn is_dead(&self) -> bool {
        self.dead
    }

    pub(super) fn into_spoken(self) -> Spoken {
        Spoken { pid: self.pid, said: self.said, line: self.line }
    }

    /// To its client, as far as that is compared.
    pub(super) fn said(&self) -> &[Message] {
        &self.said
    }

    pub(super) fn asks(&mut self) -> Option<Asks> {
        self.asks.take()
    }

    pub(super) fn cancel(&mut self, pid: i32, secret: u32) {
        self.canceled |= (self.pid, self.secret) == (pid, secret) && self.run.is_some();
    }

    /// It is gone; what it has said may still arrive.
    pub(super) fn die(&mut self, at_once: bool) {
        self.dead = true;
        self.line.borrow_mut().close(at_once);
    }

    /// One step; whether there was something to do.
    pub(super) fn act(&mut self, around: &mut Around) -> bool {
        if self.run.is_some() {
            self.run_on(around);
        } else if self.text.is_some() {
            self.next_of_text(around);
        } else if let Some(taken) = self.receive() {
            self.take(taken, around);
        } else if self.line.borrow().is_left() {
            self.die(true);
        } else {
            return false;
        }
        true
    }

    /// The next message, with when evenkeel had written all of it.
    fn receive(&mut self) -> Option<(Message, Instant)> {
        let mut pipe = self.line.borrow_mut();
        let message = match self.phase {
            Phase::Startup => {
                let mut packet = take_packet(pipe.inbox())?;
                packet.insert(0, 0);
                Message(packet)
            }
            Phase::Password | Phase::Open => take_message(pipe.inbox())?,
        };
        self.taken += message.0.len() - usize::from(self.phase == Phase::Startup);
        let at = pipe.marks.partition_point(|(written, _)| *written < self.taken);
        Some((message, pipe.marks[at].1))
    }

    fn say(&mut self, kind: u8, body: &[u8]) {
        let mut bytes = Vec::new();
        put(&mut bytes, kind, |out| out.extend_from_slice(body));
        self.line.borrow_mut().write(&bytes);
        let message = Message(bytes);
        if !self.own && message.is_of_the_database() {
            self.said.push(message);
        }
    }

    fn say_text(&mut self, kind: u8, text: &str) {
        self.say(kind, &[text.as_bytes(), b"\0"].concat());
    }

    fn say_error(&mut self, severity: &str, code: &str) {
        let mut body = Vec::new();
        for (field, text) in [(b'S', severity), (b'V', severity), (b'C', code), (b'M', "of the model")] {
            body.push(field);
            put_text(&mut body, text);
        }
        body.push(0);
        self.say(b'E', &body);
    }

    fn ready(&mut self) {
        let status = match self.block {
            Block::Outside => b'I',
            Block::Inside => b'T',
            Block::Failed => b'E',
        };
        self.say(b'Z', &[status]);
    }

    fn take(&mut self, (message, written): (Message, Instant), around: &mut Around) {
        match self.phase {
            Phase::Startup => return self.begin(&message, around),
            Phase::Password => return self.let_in(),
            Phase::Open => {}
        }
        around.tell(|| format!("{} takes {message:?}", self.pid));
        let mut fields = Fields(message.body());
        if self.skipping && !matches!(message.kind(), b'S' | b'X') {
            return;
        }
        match message.kind() {
            b'Q' => {
                let text = String::from_utf8_lossy(fields.text().unwrap_or_default()).into_owned();
                if text.contains("pg_catalog.") {
                    return self.answer_own(&text, around);
                }
                self.text = Some((Text::of(&text), 0, written));
            }
            b'P' => {
                let (name, text) = (fields.text().unwrap_or_default(), fields.text().unwrap_or_default());
                self.statements.insert(name.to_vec(), Text::of(&String::from_utf8_lossy(text)));
                self.say(b'1', b"");
            }
            b'B' => {
                let (portal, name) = (fields.text().unwrap_or_default(), fields.text().unwrap_or_default());
                match self.statements.get(name).cloned() {
                    Some(text) => {
                        self.portals.insert(portal.to_vec(), Portal { text, suspended: false });
                        self.say(b'2', b"");
                    }
                    None => self.fail("26000", around),
                }
            }
            b'D' => self.say(b'n', b""),
            b'C' => {
                let kind = fields.byte();
                let name = fields.text().unwrap_or_default();
                if kind == Some(b'S') {
                    drop(self.statements.remove(name));
                } else {
                    drop(self.portals.remove(name));
                }
                self.say(b'3', b"");
            }
            b'E' => {
                let portal = fields.text().unwrap_or_default().to_vec();
                let limit = fields.i32().unwrap_or_default();
                self.execute(&portal, limit, written, around);
            }
            b'S' => {
                self.skipping = false;
                if self.block == Block::Outside && !self.end(true, around) {
                    return;
                }
                self.ready();
            }
            b'X' => self.die(false),
            _ => {}
        }
    }

    fn begin(&mut self, packet: &Message, around: &mut Around) {
        // Behind the byte that stands for a type, and the length.
        let mut fields = Fields(packet.body());
        if fields.i32() == Some(CANCEL.cast_signed()) {
            let (pid, secret) = (fields.i32().unwrap_or_default(), fields.i32().unwrap_or_default());
            self.asks = Some(Asks { pid, secret: secret.cast_unsigned() });
            return self.die(false);
        }
        if around.dice.hits(500) {
            self.phase = Phase::Password;
            self.say(b'R', &3_i32.to_be_bytes());
        } else {
            self.let_in();
        }
    }

    fn let_in(&mut self) {
        self.phase = Phase::Open;
        self.say(b'R', &0_i32.to_be_bytes());
        self.say(b'S', b"application_name\0\0");
        self.say(b'K', &[self.pid.to_be_bytes(), self.secret.to_be_bytes()].concat());
        self.ready();
    }

    /// What evenkeel asks on a session's connection.
    fn answer_own(&mut self, text: &str, around: &mut Around) {
        self.own = true;
        let columns = if text.contains("pg_stat_get_activity") {
            vec![self.pid.to_string(), self.start().to_string()]
        } else {
            let locks = i64::from(around.dice.hits(100));
            let timeout = around.dice.pick(&[0, 0, 300, 4_000]);
            vec![timeout.to_string(), "0".to_owned(), locks.to_string()]
        };
        let mut row = (columns.len() as u16).to_be_bytes().to_vec();
        for column in columns {
            row.extend_from_slice(&(column.len() as u32).to_be_bytes());
            row.extend_from_slice(column.as_bytes());
        }
        self.say(b'T', b"\0\0");
        self.say(b'D', &row);
        self.say_text(b'C', "SELECT 1");
        self.ready();
        self.own = false;
    }

    fn execute(&mut self, portal: &[u8], limit: i32, written: Instant, around: &mut Around) {
        let Some(portal) = self.portals.get_mut(portal) else { return self.fail("34000", around) };
        let (text, suspended) = (portal.text.clone(), portal.suspended);
        let Some((does, key)) = text.0.first().copied() else { return self.say(b'I', b"") };
        let suspends = limit > 0 && does == Does::Reads && !suspended;
        portal.suspended = suspends;
        self.run_one(does, key, written, suspends, false, around);
    }

    fn next_of_text(&mut self, around: &mut Around) {
        let Some((text, at, written)) = &mut self.text else { return };
        let (among_others, written) = (text.0.len() > 1, *written);
        let Some((does, key)) = text.0.get(*at).copied() else {
            let empty = text.0.is_empty();
            self.text = None;
            if empty {
                self.say(b'I', b"");
            }
            if self.block != Block::Outside || self.end(true, around) {
                self.ready();
            }
            return;
        };
        *at += 1;
        self.run_one(does, key, written, false, among_others, around);
    }

    fn run_one(
        &mut self,
        does: Does,
        key: Option<Key>,
        written: Instant,
        suspends: bool,
        among_others: bool,
        around: &mut Around,
    ) {
        let steps = match around.dice.weigh(&[1_000, around.weather.slow, around.weather.hangs]) {
            0 => 0,
            1 => around.dice.roll(30),
            _ => u64::MAX,
        };
        around.tell(|| format!("{} runs {does:?} {key:?}", self.pid));
        self.canceled = false;
        self.run = Some(Run { does, key, written, steps, among_others, suspends });
    }

    fn run_on(&mut self, around: &mut Around) {
        let Some(run) = &mut self.run else { return };
        if mem::take(&mut self.canceled) {
            self.run = None;
            return self.fail("57014", around);
        }
        if run.steps > 0 && !(run.steps == u64::MAX && around.weather.hangs == 0) {
            run.steps -= u64::from(run.steps < u64::MAX);
            // Nobody is there whom it could tell: that is noticed some time.
            if self.line.borrow().is_left() && around.dice.hits(100) {
                self.die(true);
            }
            return;
        }
        let run = self.run.take().expect("it runs");
        if around.dice.hits(around.weather.fails) {
            return self.fail("22012", around);
        }
        self.finish(&run, around);
    }

    /// The statement does what it does.
    fn finish(&mut self, run: &Run, around: &mut Around) {
        let Run { does, key, written, among_others, suspends, .. } = *run;
        if self.block == Block::Failed && !matches!(does, Does::Commits | Does::RollsBack) {
            return self.fail("25P02", around);
        }
        if let Some(key) = key {
            around.fates.entry(key).or_default().written.get_or_insert(written);
        }
        let mut command = does.command();
        let lives = match does {
            Does::Reads => true,
            Does::Writes => {
                self.pending.extend(key);
                true
            }
            Does::Outside => {
                if let Some(key) = key {
                    around.acted_outside(key, self.block == Block::Outside);
                }
                true
            }
            Does::Calls => {
                self.pending.extend(key);
                self.block != Block::Outside || among_others || self.end(true, around)
            }
            Does::Begins => {
                self.block = Block::Inside;
                true
            }
            Does::Commits | Does::RollsBack => {
                let commits = does == Does::Commits && self.block != Block::Failed;
                if does == Does::Commits && !commits {
                    command = "ROLLBACK";
                }
                self.block = Block::Outside;
                self.end(commits, around)
            }
        };
        if !lives || self.dies(around) {
            return;
        }
        let kept = command == does.command();
        if let Some(key) = key.filter(|_| kept) {
            around.fates.entry(key).or_default().completed = true;
        }
        if matches!(does, Does::Reads | Does::Outside) {
            self.say(b'D', format!("\0\0{key:?}").as_bytes());
        }
        if suspends { self.say(b's', b"") } else { self.say_text(b'C', command) }
    }

    /// The transaction ends; whether the backend lives on.
    fn end(&mut self, commits: bool, around: &mut Around) -> bool {
        if !self.pending.is_empty() && self.dies(around) {
            return false;
        }
        let pending = mem::take(&mut self.pending);
        self.portals.clear();
        if commits {
            let some = !pending.is_empty();
            for key in pending {
                around.acted(key);
            }
            return !some || !self.dies(around);
        }
        true
    }

    fn dies(&mut self, around: &mut Around) -> bool {
        if !self.dead && around.dice.hits(around.weather.backend_dies) {
            around.tell(|| format!("{} dies", self.pid));
            if around.dice.hits(500) {
                self.say_error("FATAL", "57P01");
            }
            self.die(around.dice.hits(500));
        }
        self.dead
    }

    fn fail(&mut self, code: &str, around: &mut Around) {
        around.tell(|| format!("{} fails: {code}", self.pid));
        self.pending.clear();
        if self.block == Block::Outside {
            self.portals.clear();
        } else {
            self.block = Block::Failed;
        }
        if self.dies(around) {
            return;
        }
        self.say_error("ERROR", code);
        match self.text.take() {
            Some(_) => self.ready(),
            None => self.skipping = true,
        }
    }
}

//! Clients that write, each on a thread of its own, in every way in which statements come. Each remembers what it was told.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use evenkeel_core::chance::Dice;

use super::raw::{Message, Raw, bind, describe, execute, flush, message, parse, sync};
use crate::support::pause;

/// What a client knows of its row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// It is there for good.
    Done,
    /// It is not there.
    Undone,
    /// Nothing that could be relied on.
    Nothing,
}

/// A row that a client has tried to write.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) id: String,
    pub(super) told: Told,
    pub(super) sent: Instant,
    /// When its client was told.
    pub(super) told_at: Option<Instant>,
}

impl Row {
    fn tell(&mut self, told: Told) {
        (self.told, self.told_at) = (told, Some(Instant::now()));
    }
}

/// All clients of a world.
pub(super) struct Writers {
    threads: Vec<JoinHandle<Vec<Row>>>,
    stop: Arc<AtomicBool>,
    /// Backends of those that are connected.
    pids: Arc<Mutex<Vec<Option<i32>>>>,
}

impl Writers {
    pub(super) fn start(count: usize, address: SocketAddr, dice: &mut Dice) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let pids = Arc::new(Mutex::new(vec![None; count]));
        let thread = |index| {
            let (stop, pids) = (Arc::clone(&stop), Arc::clone(&pids));
            let dice = Dice::new(dice.roll(u64::MAX));
            let mut writer = Writer { index, address, dice, rows: Vec::new(), at: 0 };
            thread::spawn(move || {
                writer.live(&stop, &pids);
                writer.rows
            })
        };
        Self { threads: (0..count).map(thread).collect(), stop, pids }
    }

    /// Of the clients that are connected.
    pub(super) fn backends(&self) -> Vec<i32> {
        self.pids.lock().unwrap().iter().flatten().copied().collect()
    }

    /// Ends them; all that they have tried.
    pub(super) fn end(self) -> Vec<Row> {
        self.stop.store(true, Ordering::Relaxed);
        self.threads.into_iter().flat_map(|thread| thread.join().expect("a client lives")).collect()
    }
}

/// Creates what they write to. No id is unique to the database: a statement that is sent twice would leave two rows.
pub(super) const SCHEMA: &str = "create table truth (id text not null); \
    create procedure commits() language plpgsql as 'begin commit; end'";

struct Writer {
    index: usize,
    address: SocketAddr,
    dice: Dice,
    rows: Vec<Row>,
    /// The first row of what is being tried.
    at: usize,
}

/// How a batch has ended, for those of whom it is not lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Ok,
    Refused,
}

/// What the client was told; nothing when the connection is gone.
fn end(messages: &[Message]) -> Option<End> {
    match messages.last() {
        Some(('Z', _)) if messages.iter().any(|(kind, _)| *kind == 'E') => Some(End::Refused),
        Some(('Z', _)) => Some(End::Ok),
        _ => None,
    }
}

fn says(messages: &[Message], command: &str) -> bool {
    messages.iter().any(|(kind, body)| *kind == 'C' && body.strip_suffix(b"\0") == Some(command.as_bytes()))
}

/// Fails, and carries the tag of the row that it would have written.
fn fails(id: &str) -> String {
    format!("insert into truth values ('{id}'), (null) /*truth='{id}'*/")
}

fn step(statement: &str) -> Vec<u8> {
    [parse("", statement), bind(""), execute()].concat()
}

impl Writer {
    fn live(&mut self, stop: &AtomicBool, pids: &Mutex<Vec<Option<i32>>>) {
        let mut session: Option<Raw> = None;
        while !stop.load(Ordering::Relaxed) {
            pause(Duration::from_millis(self.dice.roll(5)));
            let Some(raw) = &mut session else {
                session = self.connect();
                pids.lock().unwrap()[self.index] = session.as_ref().map(|raw| raw.key.pid);
                continue;
            };
            self.at = self.rows.len();
            // Now and then a client is gone without a word.
            if self.write(raw).is_none() || self.dice.roll(60) == 0 {
                session = None;
            }
        }
    }

    fn connect(&mut self) -> Option<Raw> {
        let application = if self.dice.roll(8) == 0 { "batch of a writer" } else { "writer" };
        let mut raw = Raw::try_connect(self.address, application).ok()?;
        raw.try_send(&[parse("end", "commit"), sync()].concat())?;
        (end(&raw.until_ready())? == End::Ok).then_some(raw)
    }

    /// A row that is about to be written: its id.
    fn row(&mut self) -> String {
        let id = format!("{}-{}", self.index, self.rows.len());
        self.rows.push(Row { id: id.clone(), told: Told::Nothing, sent: Instant::now(), told_at: None });
        id
    }

    /// A statement that writes a row of its own.
    fn insert(&mut self) -> String {
        let id = self.row();
        let class = if self.dice.roll(4) == 0 { ",class='batch'" } else { "" };
        format!("insert into truth values ('{id}') /*truth='{id}'{class}*/")
    }

    /// What is known of all rows of this try from `first` on.
    fn told(&mut self, first: usize, told: Told) {
        for row in &mut self.rows[self.at..][first..] {
            row.tell(told);
        }
    }

    /// The same, by how their batch has ended.
    fn ended(&mut self, messages: &[Message]) -> Option<()> {
        let told = if end(messages)? == End::Ok { Told::Done } else { Told::Undone };
        self.told(0, told);
        Some(())
    }

    /// One or more statements. Nothing when the connection is gone.
    fn write(&mut self, raw: &mut Raw) -> Option<()> {
        match self.dice.roll(16) {
            0..3 => self.alone(raw),
            3 => self.unnamed(raw),
            4 => self.described(raw),
            5 => self.failing(raw),
            6..9 => self.transaction(raw),
            9 => self.transaction_in_one(raw),
            10 => self.pipeline(raw),
            11 => self.pipeline_of_one_sync(raw),
            12 => self.several_in_one_text(raw),
            13 => self.committed_on_the_way(raw),
            14 => self.prepared_transaction(raw),
            _ => self.copy(raw),
        }
    }

    fn alone(&mut self, raw: &mut Raw) -> Option<()> {
        let insert = self.insert();
        raw.try_ask(&insert)?;
        self.ended(&raw.until_ready())
    }

    fn unnamed(&mut self, raw: &mut Raw) -> Option<()> {
        let insert = self.insert();
        raw.try_send(&[step(&insert), sync()].concat())?;
        self.ended(&raw.until_ready())
    }

    /// As asyncpg does: what was flushed is not held.
    fn described(&mut self, raw: &mut Raw) -> Option<()> {
        let insert = self.insert();
        let name = format!("s{}", self.rows.len());
        raw.try_send(&[parse(&name, &insert), describe(&name), flush()].concat())?;
        loop {
            match raw.next().0 {
                'n' => break,
                'E' => {
                    raw.try_send(&sync())?;
                    end(&raw.until_ready())?;
                    self.told(0, Told::Undone);
                    return Some(());
                }
                '-' => return None,
                _ => {}
            }
        }
        raw.try_send(&[bind(&name), execute(), sync()].concat())?;
        self.ended(&raw.until_ready())
    }

    fn failing(&mut self, raw: &mut Raw) -> Option<()> {
        let id = self.row();
        raw.try_ask(&fails(&id))?;
        let answer = raw.until_ready();
        assert_eq!(end(&answer)?, End::Refused, "{id}");
        self.told(0, Told::Undone);
        Some(())
    }

    /// Statement by statement.
    fn transaction(&mut self, raw: &mut Raw) -> Option<()> {
        let held = if self.dice.roll(3) == 0 { " /*class='batch'*/" } else { "" };
        raw.try_ask(&format!("begin{held}"))?;
        if end(&raw.until_ready())? == End::Refused {
            return Some(());
        }
        for _ in 0..=self.dice.roll(3) {
            let insert = self.insert();
            raw.try_ask(&insert)?;
            end(&raw.until_ready())?;
        }
        match self.dice.roll(6) {
            0 => {
                raw.try_ask("rollback")?;
                end(&raw.until_ready())?;
                self.told(0, Told::Undone);
                return Some(());
            }
            1 => {
                let id = self.row();
                raw.try_ask(&fails(&id))?;
                end(&raw.until_ready())?;
            }
            2 => return self.goes_back(raw),
            _ => {}
        }
        self.commit(raw, 0)
    }

    /// A part of the transaction is undone, the rest is committed.
    fn goes_back(&mut self, raw: &mut Raw) -> Option<()> {
        let kept = self.rows.len() - self.at;
        for text in ["savepoint s".to_owned(), self.insert(), "rollback to s".to_owned()] {
            raw.try_ask(&text)?;
            end(&raw.until_ready())?;
        }
        let ended = self.commit(raw, 0);
        self.told(kept, Told::Undone);
        ended
    }

    /// By a text, or by a name that was prepared when the session began, as pgjdbc does.
    fn commit(&mut self, raw: &mut Raw, first: usize) -> Option<()> {
        if self.dice.roll(2) == 0 {
            raw.try_ask("commit")?;
        } else {
            raw.try_send(&[bind("end"), execute(), sync()].concat())?;
        }
        let answer = raw.until_ready();
        end(&answer)?;
        self.told(first, if says(&answer, "COMMIT") { Told::Done } else { Told::Undone });
        Some(())
    }

    /// All of it together, with one Sync.
    fn transaction_in_one(&mut self, raw: &mut Raw) -> Option<()> {
        let mut batch = step("begin");
        for _ in 0..=self.dice.roll(3) {
            batch.extend(step(&self.insert()));
        }
        let fails = self.dice.roll(4) == 0;
        if fails {
            batch.extend(step("select 1/0"));
        }
        batch.extend([bind("end"), execute(), sync()].concat());
        raw.try_send(&batch)?;
        let answer = raw.until_ready();
        if end(&answer)? == End::Ok {
            self.told(0, Told::Done);
            return Some(());
        }
        // The session is in a transaction that has failed, where it has begun.
        raw.try_ask("rollback")?;
        end(&raw.until_ready())?;
        self.told(0, Told::Undone);
        Some(())
    }

    /// Several batches, before any of them is answered.
    fn pipeline(&mut self, raw: &mut Raw) -> Option<()> {
        let count = 2 + self.dice.roll(6) as usize;
        let mut all = Vec::new();
        for _ in 0..count {
            all.extend(step(&self.insert()));
            all.extend(sync());
        }
        raw.try_send(&all)?;
        for index in 0..count {
            let told = if end(&raw.until_ready())? == End::Ok { Told::Done } else { Told::Undone };
            self.rows[self.at + index].tell(told);
        }
        Some(())
    }

    /// Several statements that are committed together.
    fn pipeline_of_one_sync(&mut self, raw: &mut Raw) -> Option<()> {
        let mut all = Vec::new();
        let count = 2 + self.dice.roll(4);
        let failing = self.dice.roll(2 * count);
        for index in 0..count {
            let statement = if index == failing { fails(&self.row()) } else { self.insert() };
            all.extend(step(&statement));
        }
        all.extend(sync());
        raw.try_send(&all)?;
        self.ended(&raw.until_ready())
    }

    fn several_in_one_text(&mut self, raw: &mut Raw) -> Option<()> {
        let (first, second) = (self.insert(), self.insert());
        let (text, lasts) = match self.dice.roll(4) {
            0 => (format!("{first}; {second}"), 0),
            1 => (format!("begin; {first}; commit; {second}"), 0),
            2 => (format!("begin; {first}; commit; {second}; select 1/0"), 1),
            _ => (format!("begin; {first}; {second}; commit"), 0),
        };
        raw.try_ask(&text)?;
        let answer = raw.until_ready();
        if lasts == 1 && end(&answer)? == End::Refused {
            let committed = says(&answer, "COMMIT");
            self.told(0, Told::Undone);
            self.rows[self.at].tell(if committed { Told::Done } else { Told::Undone });
            return Some(());
        }
        self.ended(&answer)
    }

    /// The error comes behind a procedure that has committed.
    fn committed_on_the_way(&mut self, raw: &mut Raw) -> Option<()> {
        let insert = self.insert();
        raw.try_send(&[step(&insert), step("call commits()"), step("select 1/0"), sync()].concat())?;
        end(&raw.until_ready())?;
        Some(())
    }

    fn prepared_transaction(&mut self, raw: &mut Raw) -> Option<()> {
        let insert = self.insert();
        let name = self.rows[self.at].id.clone();
        raw.try_ask("begin")?;
        end(&raw.until_ready())?;
        raw.try_ask(&insert)?;
        end(&raw.until_ready())?;
        raw.try_ask(&format!("prepare transaction '{name}'"))?;
        let answer = raw.until_ready();
        end(&answer)?;
        if !says(&answer, "PREPARE TRANSACTION") {
            self.told(0, Told::Undone);
            return Some(());
        }
        let commits = self.dice.roll(3) > 0;
        let how = if commits { "commit" } else { "rollback" };
        raw.try_ask(&format!("{how} prepared '{name}'"))?;
        let answer = raw.until_ready();
        end(&answer)?;
        if says(&answer, "COMMIT PREPARED") {
            self.told(0, Told::Done);
        } else if says(&answer, "ROLLBACK PREPARED") {
            self.told(0, Told::Undone);
        }
        Some(())
    }

    fn copy(&mut self, raw: &mut Raw) -> Option<()> {
        let id = self.row();
        raw.try_ask(&format!("copy truth from stdin /*truth='{id}'*/"))?;
        loop {
            match raw.next().0 {
                'G' => break,
                'Z' => {
                    self.told(0, Told::Undone);
                    return Some(());
                }
                '-' => return None,
                _ => {}
            }
        }
        let data = message(b'd', |body| body.extend_from_slice(format!("{id}\n").as_bytes()));
        let last = if self.dice.roll(4) == 0 {
            message(b'f', |body| body.extend_from_slice(b"no\0"))
        } else {
            message(b'c', |_| {})
        };
        raw.try_send(&[data, last].concat())?;
        self.ended(&raw.until_ready())
    }
}

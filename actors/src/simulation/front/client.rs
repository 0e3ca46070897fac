//! A client: connects, sends turns, reads what it is told, cancels, leaves.

use evenkeel_core::postgres::{
    frames::{Fields, put, put_text},
    startup::{CancelKey, Startup},
};

use super::{
    super::dice::Draws as _,
    scripts::{self, Turn},
    texts::{Message, take_message},
    wire::{End, Line},
    world,
};
use crate::postgres::front::Modelled;

/// What a client sent over one connection, and was told.
#[derive(Debug, Default)]
pub(super) struct Talk {
    /// The backend, as it was told.
    pub(super) pid: Option<i32>,
    pub(super) sent: Vec<u8>,
    /// What the database has said, as far as it was told.
    told: usize,
}

struct Connected {
    line: Line,
    key: Option<CancelKey>,
    talk: Talk,
    open: bool,
    /// `ReadyForQuery` that are due.
    due: usize,
    /// Waits for anything at all.
    waits: bool,
    next: Option<Box<Turn>>,
    prepared: Vec<&'static str>,
}

/// See the module.
#[derive(Default)]
pub(super) struct Client {
    connected: Option<Connected>,
    pub(super) over: Vec<Talk>,
    /// Sends nothing more, and leaves when all has been answered.
    pub(super) ends: bool,
}

impl Client {
    /// One thing; whether anything was done.
    pub(super) fn act(&mut self, front: Option<&Modelled>) -> bool {
        let Some(connected) = &mut self.connected else {
            let Some(front) = front.filter(|_| !self.ends) else { return false };
            self.connected = Some(Connected::new(front));
            return true;
        };
        let mut acted = connected.read();
        if connected.line.borrow().is_left() {
            connected.line.borrow_mut().close(true);
            self.hang_up();
            return true;
        }
        let leaves = world::with(|world| {
            let chance = world.around.weather.client_leaves;
            world.around.dice.hits(chance)
        });
        if leaves {
            connected.line.borrow_mut().close(world::with(|world| world.around.dice.hits(500)));
            self.hang_up();
            return true;
        }
        if let Some(front) = front {
            acted |= connected.cancel(front);
        }
        acted |= connected.send(self.ends);
        acted
    }

    fn hang_up(&mut self) {
        if let Some(connected) = self.connected.take() {
            self.over.push(connected.talk);
        }
    }

    pub(super) fn is_connected(&self) -> bool {
        self.connected.is_some()
    }

    pub(super) fn state(&self) -> String {
        self.connected.as_ref().map_or_else(
            || "away".to_owned(),
            |at| format!("pid {:?}, open {}, due {}, waits {}", at.talk.pid, at.open, at.due, at.waits),
        )
    }
}

impl Connected {
    fn new(front: &Modelled) -> Self {
        let line = Line::default();
        world::with(|world| world.lines.push(Line::clone(&line)));
        front.connect(End(Line::clone(&line)));
        let mut bytes = Vec::new();
        let of = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        Startup { version: (3, 0), parameters: vec![of("user", "u"), of("database", "d")] }.put(&mut bytes);
        line.borrow_mut().write(&bytes);
        Self {
            line,
            key: None,
            talk: Talk::default(),
            open: false,
            due: 1,
            waits: false,
            next: None,
            prepared: Vec::new(),
        }
    }

    fn read(&mut self) -> bool {
        let mut read = false;
        loop {
            let message = take_message(self.line.borrow_mut().inbox());
            let Some(message) = message else { return read };
            read = true;
            self.waits = false;
            let mut fields = Fields(message.body());
            match message.kind() {
                b'R' if fields.i32() == Some(3) => {
                    let mut bytes = Vec::new();
                    put(&mut bytes, b'p', |body| put_text(body, "geheim"));
                    self.line.borrow_mut().write(&bytes);
                }
                b'K' => {
                    let pid = fields.i32().unwrap_or_default();
                    self.talk.pid = Some(pid);
                    self.key = Some(CancelKey { pid, secret: fields.0.to_vec() });
                }
                b'Z' => {
                    assert!(self.due > 0, "more is ready than was asked for");
                    self.open = true;
                    self.due -= 1;
                }
                _ => {}
            }
            self.hear(&message);
        }
    }

    /// What the client is told the database has said before, in that order; errors of evenkeel's own aside.
    fn hear(&mut self, message: &Message) {
        if !message.is_of_the_database() {
            return;
        }
        let pid = self.talk.pid.expect("a session has a backend");
        let said = world::with(|world| world.database.said(pid, self.talk.told));
        assert_eq!(
            said.as_ref(),
            Some(message),
            "the client of {pid} is told what the database has not said"
        );
        self.talk.told += 1;
    }

    fn cancel(&self, front: &Modelled) -> bool {
        let wants = world::with(|world| {
            let chance = if self.open && self.due > 0 { world.around.weather.cancels } else { 0 };
            world.around.dice.hits(chance)
        });
        let Some(key) = self.key.as_ref().filter(|_| wants) else { return false };
        let (line, mut bytes) = (Line::default(), Vec::new());
        key.put(&mut bytes);
        world::with(|world| {
            world.around.tell(|| format!("the client of {} cancels", key.pid));
            world.lines.push(Line::clone(&line));
        });
        line.borrow_mut().write(&bytes);
        front.connect(End(line));
        true
    }

    /// Sends the next turn where it is time for that.
    fn send(&mut self, ends: bool) -> bool {
        let hurries = world::with(|world| world.around.dice.hits(world.around.weather.hurries));
        if !self.open || self.waits || (self.due > 0 && !hurries && !self.is_amid_a_batch()) {
            return false;
        }
        let turn = match self.next.take() {
            Some(turn) => *turn,
            None if ends => {
                let mut bytes = Vec::new();
                put(&mut bytes, b'X', |_| {});
                self.line.borrow_mut().write(&bytes);
                self.open = false;
                return true;
            }
            None => world::with(|world| scripts::turn(&mut world.around, &mut self.prepared)),
        };
        let Turn { bytes, ends, flushed, then } = turn;
        world::with(|world| {
            world.around.tell(|| {
                let mut rest = bytes.clone();
                let said: Vec<_> = std::iter::from_fn(|| take_message(&mut rest)).collect();
                format!("the client of {} sends {said:?}", self.talk.pid.unwrap_or_default())
            });
        });
        self.line.borrow_mut().write(&bytes);
        self.talk.sent.extend_from_slice(&bytes);
        (self.waits, self.next) = (flushed, then);
        self.due += ends;
        true
    }

    /// The rest of a batch does not wait for what ends it.
    fn is_amid_a_batch(&self) -> bool {
        self.due == 0 && self.next.is_some()
    }
}

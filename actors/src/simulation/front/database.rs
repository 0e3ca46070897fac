//! The modelled PostgreSQL: its backends, and what happens to all of them.

use std::io;

use super::{
    super::dice::Draws as _,
    backend::{Asks, Backend},
    texts::Message,
    wire::Line,
    world::Around,
};
use crate::postgres::own::Running;

/// See the module.
#[derive(Default)]
pub(super) struct Database {
    down: bool,
    begun: i32,
    pub(super) crashes: usize,
    pub(super) backends: Vec<Backend>,
    /// Of backends that are gone: their pid, what they have said, what evenkeel had written to them.
    pub(super) gone: Vec<Spoken>,
}

/// What passed over a connection.
pub(super) struct Spoken {
    pub(super) pid: i32,
    pub(super) said: Vec<Message>,
    pub(super) line: Line,
}

impl Database {
    pub(super) fn connect(&mut self, around: &mut Around) -> io::Result<Line> {
        if self.down {
            return Err(io::ErrorKind::ConnectionRefused.into());
        }
        self.begun += 1;
        let secret = around.dice.roll(1 << 32) as u32;
        let line = Line::default();
        self.backends.push(Backend::new(self.begun, secret, Line::clone(&line)));
        Ok(line)
    }

    /// A step of one backend, or of all; whether any has come further.
    pub(super) fn act(&mut self, all: bool, around: &mut Around) -> bool {
        let count = self.backends.len();
        if count == 0 {
            return false;
        }
        let chosen = around.dice.roll(count as u64) as usize;
        let mut moved = false;
        for at in 0..count {
            if all || at == chosen {
                moved |= self.backends[at].act(around);
            }
        }
        self.cancel();
        self.bury();
        moved
    }

    /// Cancels are passed on to those whom they name.
    fn cancel(&mut self) {
        let asked: Vec<_> = self.backends.iter_mut().filter_map(Backend::asks).collect();
        for Asks { pid, secret } in asked {
            for backend in &mut self.backends {
                backend.cancel(pid, secret);
            }
        }
    }

    fn bury(&mut self) {
        for at in (0..self.backends.len()).rev() {
            if self.backends[at].is_dead() {
                self.gone.push(self.backends.swap_remove(at).into_spoken());
            }
        }
    }

    /// The postmaster is killed, and everybody with it.
    pub(super) fn crash(&mut self, around: &mut Around) {
        around.tell(|| "the database crashes".to_owned());
        self.down = true;
        self.crashes += 1;
        let at_once = around.dice.hits(500);
        for backend in &mut self.backends {
            backend.die(at_once);
        }
        self.bury();
    }

    pub(super) fn start(&mut self) {
        self.down = false;
    }

    pub(super) fn is_down(&self) -> bool {
        self.down
    }

    /// What `pg_stat_activity` says.
    pub(super) fn running(&self, (pid, start): (i32, Option<i64>)) -> Running {
        let found = self.backends.iter().find(|backend| backend.pid == pid);
        match (found, start) {
            (None, _) => Running::Gone,
            (Some(backend), Some(start)) if backend.start() != start => Running::Gone,
            (Some(_), Some(_)) => Running::Same,
            (Some(_), None) => Running::PidAlone,
        }
    }

    /// What a backend has said to its client: that many messages were before.
    pub(super) fn said(&self, pid: i32, before: usize) -> Option<Message> {
        let living = self.backends.iter().find(|one| one.pid == pid).map(Backend::said);
        let gone = || Some(self.gone.iter().find(|one| one.pid == pid)?.said.as_slice());
        living.or_else(gone)?.get(before).cloned()
    }

    /// What passed over all connections, the living ones included.
    pub(super) fn all_spoken(&mut self) -> &[Spoken] {
        for backend in self.backends.drain(..) {
            self.gone.push(backend.into_spoken());
        }
        &self.gone
    }
}

//! A session: one client and its own server connection, followed message by message.
//!
//! ```text
//! client ─▶ scanned ─▶ staged: waits for its record, or is held ─▶ forwarded ─▶ expected ─▶ answered ─▶ settled
//! ```
//! Invariants. What is forwarded is what came, in its order, but for what the contract changes: the cancel secret, the
//! questions that the session asks itself, and a batch that was given up while it was held. Nothing that has an effect
//! is forwarded before its record is durable, as [`Recording`] says. Who is given up has sent nothing.

mod answers;
mod batch;
mod client;
mod names;
mod own;
mod runs;
mod server;
#[cfg(test)]
mod tests;
mod transaction;

use std::{collections::VecDeque, sync::Arc};

use uuid::Uuid;

pub use self::own::SessionFacts;
use self::{batch::Batch, names::Names, own::Own, runs::Runs, transaction::Transaction};
use super::{
    classes::{Classes, Facts},
    replies::Refusal,
    startup::CancelKey,
    understood::{Part, Understand, Understood},
};
#[cfg(feature = "mutants")]
use crate::mutant::{self, Mutant};
use crate::{
    journal::Outcome,
    units::ids::{ExecutionId, QueryId},
};

/// Longest batch that may be held, in bytes: one that is longer passes at once.
pub const BATCH_BYTES_MAX: usize = 256 * 1024;
/// Longest text that is parsed, in bytes; a longer one is streamed and recorded as of kind `long`.
pub const TEXT_BYTES_MAX: usize = 1024 * 1024;

/// What of a statement has to be durable before it is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Recording {
    /// Each statement.
    Strict,
    /// What has an effect: outside of transactions each statement that is no sure read, inside what ends them.
    #[default]
    Commit,
    /// Nothing: records follow within 50 ms.
    Async,
    /// Nothing is recorded.
    Off,
}

/// The class of a statement, as far as holding asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassOf {
    /// Its name.
    pub name: Arc<str>,
    /// Longest time that it is held, in ms; none when it is not held at all.
    pub hold_ms_max: Option<u64>,
}

/// Who sends a session's statements.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Who {
    /// Names the session.
    pub session: Uuid,
    /// User, as the startup says.
    pub user: String,
    /// Database.
    pub database: String,
    /// Application's name, as the server last said.
    pub application: String,
    /// The client's address.
    pub client: String,
    /// The backend.
    pub pid: i32,
    /// When that began, Unix µs; known after login.
    pub backend_start: Option<i64>,
}

/// Who says of what class a statement is.
pub trait Classify {
    /// Of `part`, in a text with the tags of `understood`; of all that a transaction holds where there is no part.
    fn class(&self, who: &Who, understood: &Understood, part: Option<&Part>) -> ClassOf;
}

impl Classify for Classes {
    fn class(&self, who: &Who, understood: &Understood, part: Option<&Part>) -> ClassOf {
        let class = self.of(&Facts {
            user: &who.user,
            database: &who.database,
            application: &who.application,
            tags: &understood.tags,
            query: part.map(|part| part.query),
            kind: part.map(|part| &part.kind),
        });
        let hold_ms_max = class.deferrable.then_some(class.max_delay_ms);
        ClassOf { name: class.name.as_str().into(), hold_ms_max }
    }
}

/// What a step needs besides bytes.
pub struct Context<'a> {
    /// Monotonic, in µs.
    pub now_us: u64,
    /// Whether deferrable statements are held.
    pub enforce: bool,
    /// Understands texts.
    pub understand: &'a mut dyn Understand,
    /// Says classes.
    pub classes: &'a dyn Classify,
    /// Draws ids.
    pub next_id: &'a mut dyn FnMut() -> ExecutionId,
}

/// What a step leads to. Bytes are appended; whoever sends them takes them out.
#[derive(Debug, Default)]
pub struct Effects {
    /// For the server.
    pub to_server: Vec<u8>,
    /// For the client.
    pub to_client: Vec<u8>,
    /// What else is to be done, in order.
    pub events: Vec<Event>,
}

/// Something to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Is to be recorded as released.
    Intend(Intent),
    /// Is to be held, at most so many ms. [`Session::released`] or [`Session::give_up`] follows.
    Hold(Intent, u64),
    /// Was held and will never be sent.
    Dropped(ExecutionId),
    /// Has ended.
    Finished(Finished),
    /// So many statements passed without a record.
    Unrecorded(u64),
    /// A batch that might have been held passed, because it was too long.
    TooLong,
    /// The server's cancel key, and the one that the client got in its place.
    Key {
        /// The server's.
        server: CancelKey,
        /// The client's.
        client: CancelKey,
    },
    /// The session is over once the client has what was written for it.
    End,
}

/// A statement that is about to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Intent {
    /// Counts the session's intents from 1.
    pub ticket: u64,
    /// Names the run.
    pub execution: ExecutionId,
    /// What runs.
    pub query: QueryId,
    /// Its text without literals.
    pub text: Arc<str>,
    /// Its kind.
    pub kind: &'static str,
    /// Its class.
    pub class: Arc<str>,
    /// The explicit transaction that it is part of, counted from 1.
    pub transaction: Option<u64>,
    /// What its comment says as `truth='…'`.
    pub tag: Option<String>,
    /// Whether something waits until it is durable.
    pub waited_for: bool,
}

/// How a statement ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finished {
    /// Which.
    pub execution: ExecutionId,
    /// How.
    pub outcome: Outcome,
    /// Error's code.
    pub sqlstate: Option<String>,
    /// Rows that it returned or changed.
    pub rows: Option<u64>,
    /// From being sent to being answered.
    pub duration_us: u64,
    /// What else is to be known.
    pub note: Option<&'static str>,
}

/// See the module.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own about the two connections")]
pub struct Session {
    recording: Recording,
    who: Who,
    phase: Phase,
    /// Scanned and not forwarded: the bytes of `staged`, one after the other.
    stage: Vec<u8>,
    staged: VecDeque<Staged>,
    /// Bytes of a message of the client's, under way, that pass as they come.
    client_passing: usize,
    /// The same of the server's; whether they go to the client.
    server_passing: (usize, bool),
    /// What was forwarded and has no answer.
    expected: VecDeque<Expect>,
    names: Names,
    runs: Runs,
    transaction: Transaction,
    /// A batch that may yet be held.
    batch: Option<Batch>,
    tickets: u64,
    durable: u64,
    /// Whether the server is in the middle of COPY FROM STDIN.
    copying_in: bool,
    /// Whether a cancel is under way: nothing more is forwarded until it has been answered.
    cancelling: bool,
    /// Whether nothing was forwarded since the server was last ready.
    ready: bool,
    terminated: bool,
    told_fatal: bool,
    /// Whether the server has asked for a password, or the like.
    challenged: bool,
    /// Whether a client is let in that the server did not ask.
    trusts: bool,
    /// Whether a proof may be bound to the channel.
    binds: bool,
    /// Whether the server can be asked about the session.
    greets: bool,
    /// From which the client's cancel secret is taken.
    secret: Vec<u8>,
    /// Statements that have passed without a record and have not been told.
    unrecorded: u64,
}

/// How far a session is.
#[derive(Debug, PartialEq, Eq)]
enum Phase {
    /// The server asks who the client is.
    Login,
    /// The session asks the server about itself.
    Greeting(Own),
    /// Statements.
    Open,
    /// The session asks the server whether a batch may be held.
    Asking(Own),
    /// A batch is held.
    Held(ExecutionId),
    /// It is over.
    Ended,
}

/// A message that was scanned and not forwarded.
#[derive(Debug)]
struct Staged {
    bytes: usize,
    kind: u8,
    expect: Option<Expect>,
    /// Runs that it begins, which are not admitted yet.
    begins: Vec<ExecutionId>,
    /// Ticket that has to be durable before it leaves.
    wait_for: u64,
}

/// The answer that a forwarded message gets.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Expect {
    /// `ParseComplete`; what the name means from then on.
    Parse {
        /// Of the statement.
        name: Arc<[u8]>,
        /// What the text is.
        means: Arc<Understood>,
        /// Its number.
        parse: u64,
    },
    /// `BindComplete`.
    Bind,
    /// `RowDescription` or `NoData`; of a statement `ParameterDescription` before.
    Describe,
    /// `CloseComplete`.
    Close {
        /// Whether the client is told.
        told: bool,
    },
    /// Rows, then `CommandComplete`, `EmptyQueryResponse` or `PortalSuspended`.
    Execute { run: Option<ExecutionId>, portal: Arc<[u8]> },
    /// `ReadyForQuery`.
    Sync,
    /// Answers to each statement of a text, then `ReadyForQuery`.
    Query { runs: VecDeque<ExecutionId> },
    /// `FunctionCallResponse`, then `ReadyForQuery`.
    Function { run: Option<ExecutionId> },
    /// An own question's answers, which nobody else sees, then `ReadyForQuery`.
    Own,
}

impl Session {
    /// A session of which the startup packet has just been forwarded. `trusts`: a client that the server lets in without a
    /// password is let in. `secret`: random bytes, as many as a cancel secret has at most.
    pub fn new(recording: Recording, who: Who, trusts: bool, secret: Vec<u8>) -> Self {
        Self {
            recording,
            who,
            phase: Phase::Login,
            stage: Vec::new(),
            staged: VecDeque::new(),
            client_passing: 0,
            server_passing: (0, true),
            expected: VecDeque::new(),
            names: Names::default(),
            runs: Runs::default(),
            transaction: Transaction::default(),
            batch: None,
            tickets: 0,
            durable: 0,
            copying_in: false,
            cancelling: false,
            ready: false,
            terminated: false,
            told_fatal: false,
            challenged: false,
            trusts,
            binds: true,
            greets: true,
            secret,
            unrecorded: 0,
        }
    }

    /// The same for a client that has shown its password already.
    #[must_use]
    pub fn challenged(self) -> Self {
        Self { challenged: true, ..self }
    }

    /// The same for a client without TLS, of a server with it: what binds a proof to the channel is not offered, because a
    /// client without TLS takes that for an attack.
    #[must_use]
    pub fn without_binding(self) -> Self {
        Self { binds: false, ..self }
    }

    /// The same for a stream of the write-ahead log, whose server cannot be asked and whose commands are nobody's
    /// statements.
    #[must_use]
    pub fn replication(self) -> Self {
        Self { recording: Recording::Off, greets: false, ..self }
    }

    /// Who sends.
    pub fn who(&self) -> &Who {
        &self.who
    }

    /// Whether the login is over.
    pub fn is_open(&self) -> bool {
        !matches!(self.phase, Phase::Login | Phase::Greeting(_))
    }

    /// Whether it is over.
    pub fn is_over(&self) -> bool {
        self.phase == Phase::Ended
    }

    /// Bytes of the client's that were taken and are not forwarded: at most those of two texts.
    pub fn waiting_bytes(&self) -> usize {
        self.stage.len()
    }

    /// What is held.
    pub fn held(&self) -> Option<ExecutionId> {
        match self.phase {
            Phase::Held(execution) => Some(execution),
            _ => None,
        }
    }

    /// Whether the server works for it, as far as is known here.
    pub fn is_busy(&self) -> bool {
        !self.expected.is_empty()
    }

    /// Whether nothing is under way: no answer, no transaction, nothing that waits.
    pub fn is_idle(&self) -> bool {
        self.phase == Phase::Open
            && self.expected.is_empty()
            && self.staged.is_empty()
            && self.client_passing == 0
            && self.transaction.is_outside()
    }

    /// Whether the server is being asked if a batch may be held.
    pub fn is_asking(&self) -> bool {
        matches!(self.phase, Phase::Asking(_))
    }

    /// Whether it would go on if more of the client's bytes were there.
    pub fn needs_more(&self) -> bool {
        self.takes() && self.client_passing == 0
    }

    /// Whether the client knows why the session is over.
    pub fn was_told_fatal(&self) -> bool {
        self.told_fatal
    }

    /// Whether the client has said goodbye.
    pub fn is_terminated(&self) -> bool {
        self.terminated
    }

    /// All up to `ticket` is durable.
    pub fn recorded(&mut self, ticket: u64, context: &mut Context<'_>, out: &mut Effects) {
        self.durable = self.durable.max(ticket);
        self.forward(context, out);
    }

    /// What is held may be sent: its release is durable.
    pub fn released(&mut self, execution: ExecutionId, context: &mut Context<'_>, out: &mut Effects) {
        if self.held() == Some(execution) {
            self.phase = Phase::Open;
            self.runs.admitted(execution);
            self.admit_staged(context, out);
            #[cfg(feature = "mutants")]
            if mutant::is(Mutant::ForwardedAgain) {
                out.to_server.extend_from_slice(&self.stage);
            }
            self.forward(context, out);
        }
    }

    /// What is held will not be sent; the client is told so and goes on.
    pub fn give_up(&mut self, refusal: &Refusal, out: &mut Effects) {
        if let Some(execution) = self.held() {
            out.events.push(Event::Dropped(execution));
            self.drop_batch(refusal, out);
        }
    }

    /// A cancel is on its way to the server: nothing more is forwarded until it is over.
    pub fn cancel_begins(&mut self) {
        self.cancelling = true;
    }

    /// The server has taken it.
    pub fn cancel_ended(&mut self, context: &mut Context<'_>, out: &mut Effects) {
        self.cancelling = false;
        self.forward(context, out);
    }

    /// Ends the session with an error that the client is told; what is under way ends as in [`Session::gone`].
    pub fn end(&mut self, refusal: &Refusal, now_us: u64, out: &mut Effects) {
        if self.phase != Phase::Ended {
            self.tell_fatal(refusal, out);
            self.gone(now_us, out);
        }
    }

    /// Tells the client why the session ends. Amid a message of the server's it can be told nothing: it would take that
    /// for the message's rest.
    pub fn tell_fatal(&mut self, refusal: &Refusal, out: &mut Effects) {
        self.told_fatal = true;
        if self.server_passing == (0, true) || !self.server_passing.1 {
            refusal.put(&mut out.to_client, true);
        }
    }

    /// Client or server is gone: what was sent and has no answer is unknown, what was not sent is given up.
    pub fn gone(&mut self, now_us: u64, out: &mut Effects) {
        if let Some(execution) = self.held() {
            out.events.push(Event::Dropped(execution));
            self.runs.forget(execution);
        }
        self.runs.lost(now_us, self.transaction.server_in_block(), &mut out.events);
        self.over(out);
    }

    fn over(&mut self, out: &mut Effects) {
        if self.phase != Phase::Ended {
            self.phase = Phase::Ended;
            out.events.push(Event::End);
        }
    }
}

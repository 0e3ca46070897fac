//! A server that offers only `/queued`, `/resources` and `/delay`, as a journal to read and a queue to ask.
//!
//! In: [`Follow`] from the consumer's source, [`Control`] from the scheduler. Out: what is seen, as entries; one
//! `POST /delay` for each execution, when it gets its slot. Everything it knows it knows from looking twice a
//! tick: see [`evenkeel_core::foreign`].

mod requests;
mod states;
mod wire;

use std::time::Duration;

use actix::{
    Actor, ActorFutureExt, AsyncContext, Context, Handler, Message, MessageResult, Supervised, WrapFuture,
};
use evenkeel_core::{
    foreign::{Coverage, Look, Seen, Watcher},
    journal::{Entry, EntryId, FORMAT, Positions, Record},
    server::control::ControlResponse,
    units::{ids::ExecutionId, lengths::Lengths},
};
use tokio::sync::{mpsc, watch};

use self::requests::Requests;
pub use self::states::MemoryStates;
use super::{reach::Server, secret::Secret};
use crate::{
    clock::unix_ms,
    messages::{Control, ControlRefused},
    ports::source::{Read, Source, SourceError},
    supervise::{health::ActorHealth, port::Port},
};

/// Time between two looks, as a share of a tick: a little less than half of it, so that looks wander over the tick and
/// its beginning is found.
const LOOK_EVERY: f64 = 0.47;
/// Requests under way at once: one that is answered late must not keep the next ones from being made.
const ASKING_MAX: usize = 32;
/// Reads that wait for the consumer.
const READS_AHEAD: usize = 16;
/// Answers in a row that are of no use before somebody is told: half a second.
const USELESS_ANSWERS: u32 = 10;

/// The consumer's source → [`ForeignServer`]: send what is seen here from now on, what waits already first.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Follow(mpsc::Sender<Result<Read, SourceError>>);

/// A foreign server as a journal.
pub struct ForeignSource(pub Port<Follow>);

impl Source for ForeignSource {
    fn follow(&self, _after: Positions) -> mpsc::Receiver<Result<Read, SourceError>> {
        let (reads, receiver) = mpsc::channel(READS_AHEAD);
        let asked = self.0.send(Follow(reads.clone()));
        actix::spawn(async move {
            if let Err(error) = asked.await {
                // A consumer that is gone needs no cause.
                let _ = reads.send(Err(SourceError::Failed(error.to_string()))).await;
            }
        });
        receiver
    }
}

/// Answers of one kind, so that trouble is told once.
struct Answers {
    meanwhile: &'static str,
    /// How many of no use came last.
    useless: u32,
    /// Why the last one was of none.
    cause: String,
}

impl Answers {
    fn new(meanwhile: &'static str) -> Self {
        Self { meanwhile, useless: 0, cause: String::new() }
    }

    fn useful(&mut self) {
        if self.useless >= USELESS_ANSWERS {
            tracing::info!("the server answers again");
        }
        self.useless = 0;
    }

    fn useless(&mut self, cause: String) {
        self.useless = self.useless.saturating_add(1);
        if self.useless == USELESS_ANSWERS {
            tracing::warn!(cause, meanwhile = self.meanwhile, "the server does not answer as it should");
        }
        self.cause = cause;
    }

    /// What is wrong, once somebody should know.
    fn trouble(&self) -> Option<String> {
        let Self { meanwhile, useless, cause } = self;
        (*useless >= USELESS_ANSWERS).then(|| format!("{meanwhile}: {cause}"))
    }
}

/// See the module.
pub struct ForeignServer {
    requests: Requests,
    watcher: Watcher,
    look_every: Duration,
    reads: Option<mpsc::Sender<Result<Read, SourceError>>>,
    /// What the reader has not taken yet.
    unread: Read,
    numbered: u64,
    asking: usize,
    /// When the last look that counts was asked for: older ones come too late.
    looked_us: u64,
    looks: Answers,
    readings: Answers,
    delays: Answers,
    outside: watch::Sender<Option<String>>,
    nonsense: bool,
    health: ActorHealth,
    coverage: watch::Sender<Coverage>,
}

impl ForeignServer {
    /// The server at `server`, of these lengths; how far its ticks are really from them is found out.
    pub fn new(
        server: &Server,
        token: Option<&Secret>,
        lengths: Lengths,
        health: ActorHealth,
        coverage: watch::Sender<Coverage>,
        outside: watch::Sender<Option<String>>,
    ) -> Self {
        Self {
            requests: Requests::new(server, token),
            watcher: Watcher::new(lengths),
            look_every: Duration::from_millis(lengths.tick_ms).mul_f64(LOOK_EVERY),
            reads: None,
            unread: nothing_read(),
            numbered: 0,
            asking: 0,
            looked_us: 0,
            looks: Answers::new("nothing is levelled"),
            readings: Answers::new("no costs are learned"),
            delays: Answers::new("what is decided has no effect"),
            outside,
            nonsense: false,
            health,
            coverage,
        }
    }

    /// Asks for queue and window at once; the answers are used as they come.
    fn look(&mut self, context: &mut Context<Self>) {
        if self.asking >= ASKING_MAX {
            return;
        }
        self.asking += 2;
        let look = self.requests.clone().look();
        context.spawn(look.into_actor(self).map(|look, actor, _context| {
            actor.asking -= 1;
            match look {
                Ok((look, nonsense)) => actor.looked(&look, nonsense),
                Err(cause) => actor.looks.useless(cause),
            }
            actor.tell();
        }));
        let read = self.requests.clone().read();
        context.spawn(read.into_actor(self).map(|reading, actor, _context| {
            actor.asking -= 1;
            match reading {
                Ok(reading) => {
                    actor.readings.useful();
                    actor.watcher.read(reading);
                }
                Err(cause) => actor.readings.useless(cause),
            }
            actor.tell();
        }));
    }

    fn looked(&mut self, look: &Look, nonsense: usize) {
        self.looks.useful();
        if nonsense > 0 && !self.nonsense {
            tracing::warn!(
                nonsense,
                "items of /queued make no sense: expected {{\"query\":{{\"id\"}},\"execution\":{{\"id\"}}}}; the others are used"
            );
        }
        self.nonsense = nonsense > 0;
        if look.asked_us < self.looked_us {
            return;
        }
        self.looked_us = look.asked_us;
        let restarts = self.watcher.coverage().restarts;
        let Seen { records, observations, began } = self.watcher.look(look);
        let coverage = self.watcher.coverage();
        if coverage.restarts > restarts {
            tracing::warn!(
                "the server has started anew: all that waited is gone, costs of new ids are learned anew"
            );
        }
        self.coverage.send_replace(coverage);
        self.number(records);
        self.unread.observed.get_or_insert_default().extend(observations);
        self.unread.caught_up = began.or(self.unread.caught_up);
        self.deliver();
    }

    /// Entries have ids as in a journal; these mean nothing elsewhere.
    fn number(&mut self, records: Vec<Record>) {
        let now_ms = unix_ms();
        for mut record in records {
            if let Record::Executed(executed) = &mut record {
                executed.executed_at_ms = now_ms;
            }
            self.numbered += 1;
            let id = EntryId { ms: 0, n: self.numbered };
            self.unread.entries.push(Entry { id, seq: self.numbered, version: FORMAT, record });
        }
    }

    /// What the reader cannot take now it gets with the next look.
    fn deliver(&mut self) {
        let Some(reads) = &self.reads else {
            // Whoever reads from now on is told what waits.
            self.unread = nothing_read();
            return;
        };
        let gone = match reads.try_reserve() {
            Ok(permit) => {
                permit.send(Ok(std::mem::replace(&mut self.unread, nothing_read())));
                false
            }
            Err(error) => matches!(error, mpsc::error::TrySendError::Closed(())),
        };
        if gone {
            self.reads = None;
        }
    }

    /// Delays each execution by so many ticks.
    fn delay(&mut self, delays: Vec<(ExecutionId, u64)>, context: &mut Context<Self>) {
        for (execution, ticks) in delays {
            let delay = self.requests.clone().delay(execution, ticks);
            context.spawn(delay.into_actor(self).map(move |(outcome, refusal), actor, _context| {
                actor.watcher.delayed(execution, outcome);
                match refusal {
                    Some(cause) => actor.delays.useless(cause),
                    None => actor.delays.useful(),
                }
                actor.tell();
            }));
        }
    }

    /// Whoever asks whether this client is ready hears what the server does not do.
    fn tell(&self) {
        let trouble = [&self.looks, &self.delays, &self.readings].into_iter().find_map(Answers::trouble);
        self.outside.send_if_modified(|told| {
            let news = *told != trouble;
            told.clone_from(&trouble);
            news
        });
    }
}

fn nothing_read() -> Read {
    Read { observed: Some(Vec::new()), ..Read::default() }
}

impl Actor for ForeignServer {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        self.asking = 0;
        self.health.set_recovering(false);
        context.run_interval(self.look_every, Self::look);
    }
}

/// After a restart `started` is called again; what is known of the server stays.
impl Supervised for ForeignServer {}

impl Handler<Follow> for ForeignServer {
    type Result = MessageResult<Follow>;

    fn handle(&mut self, Follow(reads): Follow, _context: &mut Self::Context) -> Self::Result {
        self.reads = Some(reads);
        self.unread = nothing_read();
        let waiting = self.watcher.all_waiting();
        self.number(waiting);
        self.deliver();
        MessageResult(())
    }
}

impl Handler<Control> for ForeignServer {
    type Result = Result<ControlResponse, ControlRefused>;

    fn handle(&mut self, Control(request): Control, context: &mut Self::Context) -> Self::Result {
        let (delays, response) = self.watcher.place(&request);
        self.delay(delays, context);
        Ok(response)
    }
}

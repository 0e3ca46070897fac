//! One world of a seed: disk, Redis, the way between, what the database ran; and who acts when.
//!
//! Whoever sends something to Redis lets others act before and after it, so that every interleaving of steps can come up.
//! A killed process is not interrupted: what it still sends goes nowhere, and it is dropped when its step returns.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
};

use evenkeel_core::{
    chance::Dice,
    invariants::TruthRow,
    journal::{PerStream, Positions, Stream},
    units::ids::ExecutionId,
};

use super::{
    client::Client,
    database::Uncertain,
    dice::Draws as _,
    disk::Disk,
    faults,
    model::{Condition, Model, Words},
    server::{Server, Shipper},
    wire::Fate,
};
use crate::stores::redis::Keys;

/// Who can be killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum ProcessId {
    Server,
    Client(usize),
}

impl ProcessId {
    pub(super) const ALL: [Self; 3] = [Self::Server, Self::Client(0), Self::Client(1)];
}

/// How often what goes wrong, in thousandths; a seed has some of it and not the rest.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Weather {
    pub(super) lost: u64,
    pub(super) answer_lost: u64,
    pub(super) cut: u64,
    pub(super) late: u64,
    pub(super) killed: u64,
    pub(super) disk_full: u64,
    pub(super) apply_fails: u64,
    pub(super) others: u64,
}

/// Which sequence numbers of each stream a state was made of.
pub(super) type Shadow = PerStream<Vec<u64>>;

#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub(super) struct World {
    pub(super) seed: u64,
    pub(super) dice: Dice,
    pub(super) weather: Weather,
    pub(super) now_ms: u64,
    pub(super) keys: Keys,
    pub(super) redis: Model,
    pub(super) disk: Disk,
    pub(super) partitioned: bool,
    /// Commands that are still on their way from connections that nobody reads any more.
    pub(super) late: Vec<(u64, Vec<Words>)>,
    connections: u64,
    dying: BTreeSet<ProcessId>,
    pub(super) truth: Vec<TruthRow>,
    pub(super) ran: BTreeSet<ExecutionId>,
    /// The database, where its outcomes are uncertain.
    pub(super) uncertain: Option<Uncertain>,
    /// The last revision that somebody was told is durable.
    pub(super) acked: u64,
    pub(super) executions: u64,
    /// What shipping said is lost from Redis.
    pub(super) declared: PerStream<BTreeSet<u64>>,
    /// What somebody else removed from Redis, whether or not it came back.
    pub(super) removed: PerStream<BTreeSet<u64>>,
    /// What a client set aside.
    pub(super) buried: PerStream<BTreeSet<u64>>,
    /// Whether somebody took something away that nothing can bring back: states may lack what Redis no longer has.
    pub(super) harmed: bool,
    /// Whether Redis has lost something, or somebody changed something in it.
    pub(super) meddled: bool,
    /// A stream with somebody else's entry.
    pub(super) foreign: Option<Stream>,
    pub(super) spoiled: bool,
    pub(super) shadows: BTreeMap<Vec<u8>, Vec<(Positions, Shadow)>>,
    /// Entries that a stream in the outbox keeps when they are shipped, and that Redis keeps.
    pub(super) outbox_keeps: usize,
    pub(super) redis_keeps: u64,
    pub(super) batch_max: usize,
    /// What has been done to it; with `traces` every command, too.
    pub(super) story: Vec<String>,
    pub(super) traces: bool,
    depth: u32,
}

/// A process, or where it is.
pub(super) enum Slot<T> {
    Gone,
    Acting,
    Here(T),
}

pub(super) struct Slots {
    pub(super) server: Slot<Server>,
    pub(super) shipper: Slot<Shipper>,
    pub(super) clients: [Slot<Client>; 2],
}

thread_local! {
    static WORLD: RefCell<Option<World>> = const { RefCell::new(None) };
    static SLOTS: RefCell<Slots> = const {
        RefCell::new(Slots { server: Slot::Gone, shipper: Slot::Gone, clients: [Slot::Gone, Slot::Gone] })
    };
}

/// Looks at or changes this thread's world; nobody acts meanwhile.
pub(super) fn with<T>(f: impl FnOnce(&mut World) -> T) -> T {
    WORLD.with_borrow_mut(|world| f(world.as_mut().expect("a world has been begun")))
}

pub(super) fn with_slots<T>(f: impl FnOnce(&mut Slots) -> T) -> T {
    SLOTS.with_borrow_mut(f)
}

/// Begins the world of `seed`, with nobody in it.
pub(super) fn begin(seed: u64, traces: bool) {
    let mut dice = Dice::new(seed);
    let mut often = |most: u64| if dice.hits(500) { 0 } else { dice.roll(most) };
    let weather = Weather {
        lost: often(60),
        answer_lost: often(60),
        cut: often(60),
        late: often(60),
        killed: often(30),
        disk_full: often(60),
        apply_fails: often(30),
        others: 40 + often(300),
    };
    let always = dice.hits(300);
    let (outbox_keeps, redis_keeps) = (dice.pick(&[8, 40, 1_000]), dice.pick(&[10, 60, 1_000]));
    let batch_max = dice.pick(&[3, 10, 1_000]);
    let uncertain = dice.hits(400).then(Uncertain::default);
    let world = World {
        seed,
        dice,
        weather,
        now_ms: 1_800_000_000_000,
        keys: Keys::new("evenkeel", "main").expect("a good name"),
        redis: Model::new(always),
        disk: Disk::default(),
        partitioned: false,
        late: Vec::new(),
        connections: 0,
        dying: BTreeSet::new(),
        truth: Vec::new(),
        ran: BTreeSet::new(),
        uncertain,
        acked: 0,
        executions: 0,
        declared: PerStream::default(),
        removed: PerStream::default(),
        buried: PerStream::default(),
        harmed: false,
        meddled: false,
        foreign: None,
        spoiled: false,
        shadows: BTreeMap::new(),
        outbox_keeps,
        redis_keeps,
        batch_max,
        story: Vec::new(),
        traces,
        depth: 0,
    };
    WORLD.set(Some(world));
    with_slots(|slots| {
        *slots = Slots { server: Slot::Gone, shipper: Slot::Gone, clients: [Slot::Gone, Slot::Gone] };
    });
}

impl World {
    pub(super) fn new_connection(&mut self) -> u64 {
        self.connections += 1;
        self.redis.connect(self.connections);
        self.connections
    }

    pub(super) fn is_dying(&self, process: ProcessId) -> bool {
        self.dying.contains(&process)
    }

    pub(super) fn kill(&mut self, process: ProcessId) {
        self.dying.insert(process);
    }

    /// Whether a connection can be made.
    pub(super) fn reaches(&mut self) -> bool {
        !self.partitioned && !self.dice.hits(self.weather.lost)
    }

    /// Whether `process` is killed here.
    pub(super) fn dies_here(&mut self, process: ProcessId) -> bool {
        if self.dice.hits(self.weather.killed) {
            self.kill(process);
        }
        self.is_dying(process)
    }

    pub(super) fn fate(&mut self, process: ProcessId) -> Fate {
        if self.partitioned {
            return Fate::Lost;
        }
        let Weather { lost, answer_lost, cut, late, killed, .. } = self.weather;
        let known: u64 = [lost, answer_lost, cut, late, killed].iter().sum();
        let rest = 1_000_u64.saturating_sub(known);
        let weights = [rest, lost, answer_lost, cut, late, killed / 2, killed - killed / 2];
        let fates = [
            Fate::Arrives,
            Fate::Lost,
            Fate::AnswerLost,
            Fate::Cut,
            Fate::Late,
            Fate::KilledBefore,
            Fate::KilledAfter,
        ];
        let fate = fates[self.dice.weigh(&weights)];
        if matches!(fate, Fate::KilledBefore | Fate::KilledAfter) {
            self.kill(process);
        }
        fate
    }

    /// Of what stands in Redis.
    pub(super) fn sequence_numbers(&self, stream: Stream) -> BTreeSet<u64> {
        let found = self.redis.keyspace().streams.get(&self.keys.stream(stream));
        let ids = found.into_iter().flat_map(|stream| stream.entries.keys());
        let entries = &self.disk.entries[stream];
        let found = ids.filter_map(|id| entries.binary_search_by_key(id, |entry| entry.id).ok());
        found.map(|at| entries[at].seq).collect()
    }

    /// Whether the stream's last entry was declared lost, so that nobody can reach it.
    pub(super) fn ends_with_a_loss(&self, stream: Stream) -> bool {
        let last = self.disk.entries[stream].len() as u64;
        self.declared[stream].contains(&last) || self.buried[stream].contains(&last)
    }

    pub(super) fn tell(&mut self, what: impl Into<String>) {
        self.story.push(format!("{} ms: {}", self.now_ms.cast_signed() - 1_800_000_000_000, what.into()));
    }

    /// Good weather from now on, and nobody in the way.
    pub(super) fn calm_down(&mut self) {
        self.weather = Weather::default();
        self.partitioned = false;
        self.late.clear();
        self.redis.condition = Condition::Well;
    }
}

/// While somebody waits for Redis, the others may do something.
pub(super) fn others_act() {
    let act = with(|world| {
        let act = world.depth < 3 && world.dice.hits(world.weather.others);
        world.depth += u32::from(act);
        act
    });
    if act {
        act_once();
        with(|world| world.depth -= 1);
    }
}

/// Somebody does something, or something happens.
pub(super) fn act_once() {
    match with(|world| world.dice.weigh(&[30, 30, 30, 15, 8])) {
        0 => step(|slots| &mut slots.server, ProcessId::Server, Server::act),
        1 => step(|slots| &mut slots.shipper, ProcessId::Server, Shipper::act),
        2 => step(|slots| &mut slots.clients[0], ProcessId::Client(0), Client::act),
        3 => step(|slots| &mut slots.clients[1], ProcessId::Client(1), Client::act),
        _ => faults::one(),
    }
}

/// One step of a process that is there and not amid another one.
pub(super) fn step<T>(slot: fn(&mut Slots) -> &mut Slot<T>, id: ProcessId, act: fn(&mut T)) {
    let taken = with_slots(|slots| {
        let slot = slot(slots);
        match std::mem::replace(slot, Slot::Acting) {
            Slot::Here(process) => Some(process),
            other => {
                *slot = other;
                None
            }
        }
    });
    let Some(mut process) = taken else { return };
    if !with(|world| world.is_dying(id)) {
        act(&mut process);
    }
    let dying = with(|world| world.is_dying(id));
    with_slots(|slots| *slot(slots) = if dying { Slot::Gone } else { Slot::Here(process) });
}

/// Starts what has been killed and is not amid a step.
pub(super) fn start(process: ProcessId) {
    let gone = with_slots(|slots| match process {
        ProcessId::Server => matches!((&slots.server, &slots.shipper), (Slot::Gone, Slot::Gone)),
        ProcessId::Client(which) => matches!(slots.clients[which], Slot::Gone),
    });
    if !gone {
        return;
    }
    with(|world| {
        world.dying.remove(&process);
        world.tell(format!("start {process:?}"));
    });
    match process {
        ProcessId::Server => {
            let (server, shipper) = (Server::start(), Shipper::start());
            with_slots(|slots| {
                slots.server = Slot::Here(server);
                slots.shipper = Slot::Here(shipper);
            });
        }
        ProcessId::Client(which) => {
            let client = Client::start(which);
            with_slots(|slots| slots.clients[which] = Slot::Here(client));
        }
    }
}

/// Drops the killed ones that are not amid a step.
pub(super) fn bury_the_dead() {
    let dying = with(|world| world.dying.clone());
    with_slots(|slots| {
        for process in dying {
            match process {
                ProcessId::Server => {
                    if matches!(slots.server, Slot::Here(_)) {
                        slots.server = Slot::Gone;
                    }
                    if matches!(slots.shipper, Slot::Here(_)) {
                        slots.shipper = Slot::Gone;
                    }
                }
                ProcessId::Client(which) => {
                    if matches!(slots.clients[which], Slot::Here(_)) {
                        slots.clients[which] = Slot::Gone;
                    }
                }
            }
        }
    });
}

//! A client: the real lease, reading, progress and fold, over the modelled way.

use std::collections::VecDeque;

use evenkeel_core::{
    estimator::Estimator,
    journal::{Entry, Positions, Stream},
    leveller::{ClientState, Progress},
    scheduler::{PolicyName, Scheduler},
    server::queue::HoldLimits,
    units::{lengths::Lengths, tick::Tick},
};

use super::{
    dice::Draws as _,
    wire::Way,
    world::{self, ProcessId, Shadow, Slot, World},
};
use crate::{
    leveller::consumer::States,
    ports::{lease::LeaseEpoch, source::Read, state_store::StateError},
    stores::redis::{RedisStateStore, Target, source::Follower},
};

/// Reads that may wait, as between the real reader and consumer.
const READS_AHEAD: usize = 2;
/// Entries of a stream in one read, and between two saves.
const READ_MAX: usize = 7;
const UNSAVED_MAX: usize = 25;

pub(super) struct Client {
    which: usize,
    epoch: LeaseEpoch,
    states: States,
    progress: Progress,
    /// While it levels.
    follower: Option<Follower>,
    reads: VecDeque<Option<Read>>,
    estimator: Estimator,
    scheduler: Scheduler,
    shadow: Shadow,
    /// A state on its way to be saved, and the generation that collected it.
    saving: Option<(u64, ClientState)>,
}

fn new_scheduler() -> Scheduler {
    Scheduler::new(PolicyName::Evenkeel, Lengths::default(), HoldLimits::default(), None)
}

/// What a state is known by, besides its positions.
pub(super) fn known_by(state: &ClientState) -> Vec<u8> {
    postcard::to_stdvec(&(&state.estimator, &state.scheduler)).expect("a state can be written")
}

/// Applies an entry to what is learned from it.
pub(super) fn fold(estimator: &mut Estimator, scheduler: &mut Scheduler, entry: &Entry) {
    estimator.apply(&entry.record);
    scheduler.apply(&entry.record);
}

impl Client {
    pub(super) fn start(which: usize) -> Self {
        let (keys, life) = world::with(|world| {
            world.executions += 1;
            (world.keys.clone(), world.executions)
        });
        let holder = format!("client {which}, life {life}");
        let epoch = LeaseEpoch::default();
        let way = Target::over(Way(ProcessId::Client(which)));
        Self {
            which,
            states: States::new(Box::new(RedisStateStore::new(way, keys, holder, epoch.clone()))),
            epoch,
            progress: Progress::default(),
            follower: None,
            reads: VecDeque::new(),
            estimator: Estimator::default(),
            scheduler: new_scheduler(),
            shadow: Shadow::default(),
            saving: None,
        }
    }

    pub(super) fn act(&mut self) {
        if self.follower.is_none() {
            return self.load();
        }
        let what =
            world::with(|world| world.dice.weigh(&[40, 40, if self.saving.is_some() { 20 } else { 0 }]));
        let ended = matches!(self.reads.back(), Some(None));
        match what {
            0 if !ended && self.reads.len() < READS_AHEAD => self.read(),
            2 => self.save(),
            _ => self.apply(),
        }
    }

    /// Everything begins again with the durable state.
    fn load(&mut self) {
        let generation = self.progress.restore();
        let Ok(state) = self.states.take_over(generation) else { return };
        let ClientState { positions, estimator, scheduler } = &state;
        self.shadow = world::with(|world| shadow_of(world, &state));
        world::with(|world| world.tell(format!("client {} loads {:?}", self.which, self.shadow)));
        self.estimator = estimator.clone();
        self.scheduler = scheduler.clone().map_or_else(new_scheduler, |snapshot| {
            let restored = Scheduler::restore(
                PolicyName::Evenkeel,
                Lengths::default(),
                HoldLimits::default(),
                None,
                snapshot,
            );
            restored.expect("a saved scheduler can be restored")
        });
        self.progress.restored(*positions);
        self.reads.clear();
        let (way, keys) = (Way(ProcessId::Client(self.which)), world::with(|world| world.keys.clone()));
        let follower = Follower::new(Target::over(way), keys, self.epoch.clone(), *positions);
        self.follower = Some(follower.with_reads_of(READ_MAX));
    }

    fn restore(&mut self) {
        self.progress.restore();
        self.follower = None;
        self.reads.clear();
    }

    fn read(&mut self) {
        let Some(follower) = &mut self.follower else { return };
        match follower.next() {
            Ok(None) => {}
            Ok(Some(read)) => self.reads.push_back(Some(read)),
            // The consumer meets it after what was read before.
            Err(_) => self.reads.push_back(None),
        }
    }

    fn apply(&mut self) {
        let Some(read) = self.reads.pop_front() else { return };
        let Some(Read { entries, caught_up, .. }) = read else { return self.restore() };
        for part in self.progress.read(entries) {
            if world::with(|world| world.dies_here(ProcessId::Client(self.which))) {
                return;
            }
            if world::with(|world| world.dice.hits(world.weather.apply_fails)) {
                if let Some(guilty) = self.progress.failed(&part) {
                    world::with(|world| world.buried[guilty.record.stream()].insert(guilty.seq));
                }
                return self.restore();
            }
            for entry in &part {
                fold(&mut self.estimator, &mut self.scheduler, entry);
                self.shadow[entry.record.stream()].push(entry.seq);
            }
            self.progress.applied(&part);
            self.tell(&part);
        }
        if let Some(tick) = caught_up {
            world::with(|world| knows_what_was_told(world, tick, &self.shadow));
            self.ask_the_server();
        }
        let long_ago = world::with(|world| world.dice.hits(60));
        if self.saving.is_none() && self.progress.save_is_due(long_ago, UNSAVED_MAX) {
            self.progress.save();
            self.saving = Some((self.progress.generation(), self.collect()));
        }
    }

    fn tell(&self, part: &[Entry]) {
        world::with(|world| {
            if world.traces {
                let entries = part.iter().map(|entry| format!("{} {}", entry.record.stream(), entry.seq));
                let entries = entries.collect::<Vec<_>>().join(", ");
                world.tell(format!("client {} applies {entries}", self.which));
            }
        });
    }

    /// Over HTTP, where each request is lost or answered.
    fn ask_the_server(&self) {
        if world::with(|world| world.dice.hits(world.weather.lost + world.weather.answer_lost)) {
            return;
        }
        let epoch = self.epoch.held();
        let refused = world::with_slots(|slots| match &mut slots.server {
            Slot::Here(server) => server.control(&format!("client {}", self.which), epoch),
            Slot::Acting | Slot::Gone => None,
        });
        if let Some(by) = refused {
            self.epoch.outdated(by);
        }
    }

    fn collect(&self) -> ClientState {
        let state = ClientState {
            positions: self.progress.positions(),
            estimator: self.estimator.clone(),
            scheduler: Some(self.scheduler.snapshot()),
        };
        world::with(|world| {
            let known = world.shadows.entry(known_by(&state)).or_default();
            known.push((state.positions, self.shadow.clone()));
        });
        state
    }

    fn save(&mut self) {
        let Some((generation, state)) = self.saving.take() else { return };
        let stored = self.states.save(generation, &state);
        world::with(|world| world.tell(format!("client {} saves: {stored:?}", self.which)));
        self.progress.saved();
        let fenced = matches!(stored, Err(StateError::Fenced));
        if fenced && self.progress.counts(generation) {
            self.restore();
        }
    }

    /// As at SIGTERM: what is read is applied, saved for good, and the lease given back. Whether all of it happened.
    pub(super) fn end(&mut self) -> bool {
        self.progress.end();
        let saved = self.follower.is_some() && {
            let state = self.collect();
            self.states.save(self.progress.generation(), &state).is_ok()
        };
        self.states.release();
        saved
    }

    /// Its positions while it levels.
    pub(super) fn levels(&self) -> Option<Positions> {
        self.follower.as_ref().map(|_| self.progress.positions())
    }
}

/// What `state` was made of. One that nobody saved is of nothing.
pub(super) fn shadow_of(world: &World, state: &ClientState) -> Shadow {
    let known = world.shadows.get(&known_by(state));
    let same = known.and_then(|known| known.iter().find(|(positions, _)| *positions == state.positions));
    same.or_else(|| known.and_then(|known| known.last()))
        .map(|(_, shadow)| shadow.clone())
        .unwrap_or_default()
}

/// A client that is told that the streams say everything up to `tick` has applied everything up to it: unless Redis has
/// lost something or was meddled with, which the next entry or the server shows.
fn knows_what_was_told(world: &mut World, tick: Tick, shadow: &Shadow) {
    if world.meddled {
        return;
    }
    let told = world.disk.told(tick, world.uncertain.is_some());
    for stream in Stream::ALL {
        let (told, known) = (told[stream] as u64, shadow[stream].last().copied().unwrap_or_default());
        assert!(
            known >= told || world.buried[stream].contains(&told),
            "a client was told that {stream} says everything up to tick {tick}: {told} entries, and it knows {known}"
        );
    }
}

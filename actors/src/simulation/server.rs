//! The server: the tick's real steps, queue and numbers over the modelled disk and database; the real shipping.

use std::time::Duration;

#[cfg(feature = "mutants")]
use evenkeel_core::mutant::{self, Mutant};
use evenkeel_core::{
    invariants::TruthRow,
    journal::{Commit, Executed, Recovered, Released},
    server::{
        control::{ControlError, ControlRequest, LEASE_TICKS_DEFAULT, SetSlot},
        meter::Meter,
        queue::{Arrival, HoldLimits, RecordedQueue},
        steps::{Action, Steps},
    },
    units::{
        ids::{ExecutionId, QueryId},
        lengths::Lengths,
        resource::{PerResource, Usage},
        tick::Tick,
        window::Measured,
    },
};
use uuid::Uuid;

use super::{
    database,
    dice::Draws as _,
    disk::WorldsDisk,
    wire::Way,
    world::{self, ProcessId, World},
};
use crate::{
    ports::database::Resolution,
    stores::redis::{Shipment, ShipmentSettings, Target},
};

const TICK_MS: u64 = 100;
const QUERIES: usize = 3;

#[derive(Default)]
pub(super) struct Server {
    steps: Steps,
    /// What was released before this start and is to be asked about.
    unresolved: Vec<Released>,
    recorded: Option<RecordedQueue>,
    meter: Option<Meter>,
}

/// What became of a commit.
#[derive(Clone, Copy, PartialEq)]
enum Committed {
    Durable,
    Refused,
    /// The process is dead.
    Killed,
}

impl Server {
    pub(super) fn start() -> Self {
        Self::default()
    }

    /// One of a tick's steps.
    pub(super) fn act(&mut self) {
        if world::with(|world| world.dies_here(ProcessId::Server)) {
            return;
        }
        if world::with(|world| world.uncertain.is_some() && world.dice.hits(400)) && self.between_ticks() {
            return;
        }
        match self.steps.action() {
            Action::Recover => {
                let recovered = world::with(recover);
                let queue =
                    RecordedQueue::recover(Lengths::at_pace(TICK_MS), HoldLimits::default(), &recovered);
                if world::with(|world| world.uncertain.is_some()) {
                    return self.recovered_once(queue, &recovered);
                }
                self.recorded = Some(queue);
                self.meter = Some(Meter::recover(Lengths::at_pace(TICK_MS), &recovered.state));
                self.steps.recovered(&recovered);
            }
            Action::Measure(usage) => match (&mut self.meter, self.steps.due()) {
                (Some(meter), Some(begins)) if world::with(|world| world.uncertain.is_some()) => {
                    self.steps
                        .measured(meter.late(begins, world::with(|world| database::used(world, begins))));
                }
                (Some(meter), _) => match meter.exact(usage) {
                    Ok(measured) => self.steps.measured(measured),
                    Err(_) => self.steps.failed(),
                },
                _ => self.steps.failed(),
            },
            Action::Advance(tick, measured) => self.advance(tick, &measured.clone()),
            Action::Start(_, batch) if world::with(|world| world.uncertain.is_some()) => {
                if sent_before_durable() || send(batch.iter().map(Released::of)) {
                    self.steps.released();
                }
            }
            Action::Start(tick, batch) => {
                if let Some(usage) = start(tick, batch) {
                    self.steps.started(usage);
                }
            }
            Action::Await(_) => unreachable!("what a tick uses is told when it is started, or to the meter"),
        }
    }

    /// What was released may have been sent, and is asked about.
    fn recovered_once(&mut self, queue: RecordedQueue, recovered: &Recovered) {
        self.recorded = Some(queue.uncertain(None));
        let Recovered { state, released, .. } = recovered;
        self.meter = Some(Meter::recover(Lengths::at_pace(TICK_MS), state));
        self.steps.recovered_once(recovered);
        self.unresolved.clone_from(released);
        #[cfg(feature = "mutants")]
        if mutant::is(Mutant::SentAgain) {
            send(released.iter().cloned());
        }
    }

    /// Outcomes that were told or found out, executions that nobody defers, one that is given up: each group is a commit.
    /// Whether there was anything to do.
    fn between_ticks(&mut self) -> bool {
        let Some(queue) = &mut self.recorded else { return false };
        let (now_ms, now) = (world::with(|world| world.now_ms), queue.queue().last_tick());
        let mut finished = world::with(|world| {
            database::runs_on(world, now);
            database::told(world)
        });
        if world::with(|world| world.dice.hits(500)) {
            let calm = world::with(|world| world.weather.others == 0);
            self.unresolved.retain(|row| {
                let resolution = world::with(|world| database::resolve(world, row, calm));
                finished.extend(resolution.finished(row.execution, now));
                resolution == Resolution::Running
            });
        }
        if let Some(commit) = queue.ended(now_ms, &finished) {
            return self.commit_between(commit, |world| database::heard(world, &finished));
        }
        let waiting: Vec<_> = queue.queue().planned().map(|planned| planned.queued.execution).collect();
        let dropped = world::with(|world| {
            (!waiting.is_empty() && world.dice.hits(100)).then(|| world.dice.pick(&waiting))
        });
        if let Some(commit) = dropped.and_then(|execution| queue.drop_waiting(execution, now_ms).ok()) {
            return self.commit_between(commit, |_| ());
        }
        // Before the first tick there is none in which something could be released.
        if queue.queue().next_tick() == Tick(0) || !world::with(|world| world.dice.hits(200)) {
            return false;
        }
        let (at_ms, arrivals) = world::with(arrivals);
        let (commit, admitted) = queue.admit(at_ms, arrivals, Vec::new());
        let sends = self.commit_between(commit, |_| ()) && self.recorded.is_some();
        if sends && !world::with(|world| world.is_dying(ProcessId::Server)) {
            send(admitted);
        }
        true
    }

    fn commit_between(&mut self, commit: Commit, durable: impl FnOnce(&mut World)) -> bool {
        match world::with(|world| commit_one(world, commit)) {
            Committed::Durable => world::with(durable),
            Committed::Refused => {
                self.recorded = None;
                self.steps.failed();
            }
            Committed::Killed => {}
        }
        true
    }

    fn advance(&mut self, tick: Tick, measured: &Measured) {
        let (at_ms, arrivals) = world::with(arrivals);
        let advanced = self.recorded.as_mut().map(|queue| queue.advance(tick, at_ms, arrivals, *measured));
        let Some(Ok((commit, executed))) = advanced else {
            self.recorded = None;
            return self.steps.failed();
        };
        if sent_before_durable() && world::with(|world| world.uncertain.is_some()) {
            send(executed.iter().map(Released::of));
        }
        // A `/delay` that comes while the tick's commit is on its way is decided on what the tick left.
        let delay = self.delay(at_ms);
        let ticked = world::with(|world| commit_one(world, commit));
        let delayed = delay.map(|commit| world::with(|world| commit_one(world, commit)));
        assert!(
            ticked != Committed::Refused || delayed != Some(Committed::Durable),
            "what was decided on a tick that never was is durable"
        );
        match ticked {
            Committed::Durable => self.steps.advanced(executed),
            Committed::Refused => self.steps.failed(),
            Committed::Killed => {}
        }
        if ticked == Committed::Refused || delayed == Some(Committed::Refused) {
            self.recorded = None;
        }
    }

    /// What a client asks for once a tick: the lease, and slots for all that waits. Refused, it is told by whom.
    pub(super) fn control(&mut self, client: &str, epoch: u64) -> Option<u64> {
        let queue = self.recorded.as_mut()?;
        let next = queue.queue().next_tick();
        let waiting: Vec<_> = queue.queue().planned().map(|planned| planned.queued.execution).collect();
        let set = waiting.into_iter().map(|execution| SetSlot {
            execution,
            due_tick: next.after(world::with(|world| world.dice.roll(4))),
            reason: "chance has it".to_owned(),
        });
        let set = set.collect();
        let lease_ticks = LEASE_TICKS_DEFAULT;
        match queue.control(&ControlRequest {
            client: client.to_owned(),
            epoch,
            lease_ticks,
            set,
            handover: false,
        }) {
            Err(ControlError::Fenced { current, .. }) => Some(current),
            _ => None,
        }
    }

    fn delay(&mut self, at_ms: u64) -> Option<Commit> {
        let queue = self.recorded.as_mut()?;
        let waiting: Vec<_> = queue.queue().planned().map(|planned| planned.queued.execution).collect();
        let which = world::with(|world| {
            let wanted = !waiting.is_empty() && world.dice.hits(150);
            wanted.then(|| (world.dice.pick(&waiting), 1 + world.dice.roll(12)))
        });
        let (execution, ticks) = which?;
        queue.delay(execution, ticks, at_ms).ok()
    }
}

fn recover(world: &mut World) -> Recovered {
    let recovered = world.disk.recover();
    let (found, acked) = (recovered.revision, world.acked);
    assert!(found >= acked, "commit {acked} was answered as durable, and {found} is the last one found");
    recovered
}

fn arrivals(world: &mut World) -> (u64, Vec<Arrival>) {
    let count = world.dice.roll(4);
    let arrivals = (0..count).map(|_| {
        world.executions += 1;
        let query = QueryId::simulated(1, world.dice.roll(QUERIES as u64) as usize);
        (ExecutionId::new(world.now_ms, u128::from(world.executions)), query).into()
    });
    let arrivals = arrivals.collect();
    (world.now_ms, arrivals)
}

fn commit_one(world: &mut World, commit: Commit) -> Committed {
    let revision = commit.revision;
    if world.dies_here(ProcessId::Server) {
        return Committed::Killed;
    }
    if world.dice.hits(world.weather.disk_full) || !world.disk.commit(commit) {
        return Committed::Refused;
    }
    if world.dies_here(ProcessId::Server) {
        return Committed::Killed;
    }
    world.acked = revision;
    Committed::Durable
}

/// The database runs the batch, perhaps only its beginning; none when the server was killed meanwhile.
fn start(tick: Tick, batch: &[Executed]) -> Option<Usage> {
    world::with(|world| {
        let killed = world.dies_here(ProcessId::Server);
        let ran = if killed { world.dice.roll(batch.len() as u64 + 1) as usize } else { batch.len() };
        let mut usage = Usage::default();
        for (n, executed) in batch.iter().enumerate() {
            usage += cost(executed.query);
            if n < ran && world.ran.insert(executed.execution) {
                let Executed { execution, query, .. } = *executed;
                world.truth.push(TruthRow { execution, tick, query });
            }
        }
        (!killed && !world.dies_here(ProcessId::Server)).then_some(usage)
    })
}

/// Whether that known fault has been chosen.
fn sent_before_durable() -> bool {
    #[cfg(feature = "mutants")]
    return mutant::is(Mutant::SentBeforeDurable);
    #[cfg(not(feature = "mutants"))]
    false
}

/// Sends what is durable, perhaps only its beginning; false when the server was killed meanwhile.
fn send(released: impl IntoIterator<Item = Released>) -> bool {
    for Released { execution, query, tick, .. } in released {
        if world::with(|world| world.dies_here(ProcessId::Server)) {
            return false;
        }
        world::with(|world| database::send(world, execution, query, tick));
    }
    true
}

pub(super) fn cost(query: QueryId) -> Usage {
    let bound = (0..QUERIES).position(|index| QueryId::simulated(1, index) == query).unwrap_or(0) as u64;
    PerResource { cpu: 70 - 20 * bound, io: 30 + 20 * bound, memory: 20 + 7 * bound }
}

/// The real shipping, over the modelled outbox and the modelled way.
pub(super) struct Shipper {
    shipment: Shipment,
}

impl Shipper {
    pub(super) fn start() -> Self {
        let settings = world::with(|world| {
            world.disk.writer_epoch += 1;
            ShipmentSettings {
                target: Target::over(Way(ProcessId::Server)),
                keys: world.keys.clone(),
                journal: Uuid::from_u128(7),
                writer_epoch: world.disk.writer_epoch,
                writer: Uuid::from_u128(u128::from(world.disk.writer_epoch) << 64),
                label: "a modelled world".to_owned(),
                lengths: Lengths::at_pace(TICK_MS),
                age_max: Duration::from_hours(24),
                entries_max: world.redis_keeps,
            }
        });
        let batches = world::with(|world| world.batch_max);
        Self { shipment: Shipment::of(settings, Box::new(WorldsDisk)).with_batches_of(batches) }
    }

    pub(super) fn act(&mut self) {
        let shipped = self.shipment.ship();
        self.declare();
        let Ok(shipped) = shipped else { return };
        if shipped.more || world::with(|world| world.is_dying(ProcessId::Server)) {
            return;
        }
        let trim = world::with(|world| {
            if world.dice.hits(300) {
                world.disk.mark_shipped(&shipped.last);
            }
            world.dice.hits(150)
        });
        if trim {
            world::with(|world| world.disk.trim(world.outbox_keeps));
            // Tried again.
            let _ = self.shipment.trim();
            self.declare();
        }
    }

    /// Whether Redis has everything, as far as shipping knows.
    pub(super) fn is_done(&mut self) -> bool {
        let shipped = self.shipment.ship();
        self.declare();
        let trimmed = self.shipment.trim();
        self.declare();
        shipped.is_ok_and(|shipped| !shipped.more) && trimmed.is_ok()
    }

    fn declare(&mut self) {
        for lost in self.shipment.take_lost() {
            world::with(|world| {
                world.tell(lost.to_string());
                world.declared[lost.stream].extend(lost.first..=lost.last);
            });
        }
    }
}

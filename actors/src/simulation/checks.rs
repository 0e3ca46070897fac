//! What must hold of every world, once everybody has come to rest.

use std::collections::{BTreeMap, BTreeSet};

use evenkeel_core::{
    estimator::Estimator,
    invariants::{Audit, Merge, Report},
    journal::{Entry, EntryId, PerStream, Record, Stream},
    leveller::ClientState,
    scheduler::{PolicyName, Scheduler},
    server::queue::HoldLimits,
    units::lengths::Lengths,
};

use super::{
    client::{fold, shadow_of},
    model::text,
    world::{Shadow, World},
};
use crate::stores::{
    file::{snapshot::Snapshot, state::decode},
    redis::GROUP,
};

pub(super) fn all(world: &World) {
    what_ran_is_journalled_exactly_once(world);
    each_outcome_that_was_heard_is_journalled(world);
    let trimmed = redis_has_what_the_outbox_has(world);
    the_state_is_the_fold(world, &trimmed);
}

fn what_ran_is_journalled_exactly_once(world: &World) {
    let entries = &world.disk.entries;
    let mut audit =
        Audit::new(Lengths::default(), &PerStream::from_fn(|stream| entries[stream].first().cloned()))
            .with_truth(world.truth.iter().copied())
            .with_released(world.disk.head.released.values().cloned().collect());
    let streams =
        PerStream::from_fn(|stream| entries[stream].iter().cloned().map(Ok::<_, ()>).collect::<Vec<_>>());
    let PerStream { executions, queue, windows } = streams;
    let streams = PerStream {
        executions: executions.into_iter(),
        queue: queue.into_iter(),
        windows: windows.into_iter(),
    };
    for entry in Merge::new(streams).flatten() {
        audit.entry(&entry);
    }
    let rows: Vec<_> = world.disk.head.queue.values().copied().collect();
    let Report { findings, .. } = audit.finish(world.disk.head.state.next_tick, Some(&rows));
    assert_eq!(findings.count(), 0, "the audit of outbox and truth found {:?}", findings.first());
}

fn each_outcome_that_was_heard_is_journalled(world: &World) {
    let Some(database) = &world.uncertain else { return };
    let journalled: BTreeMap<_, _> = world.disk.entries[Stream::Executions]
        .iter()
        .filter_map(|entry| match &entry.record {
            Record::Executed(executed) => Some((executed.execution, executed.outcome)),
            _ => None,
        })
        .collect();
    for (execution, outcome) in database.heard() {
        let found = journalled.get(&execution);
        assert!(found.is_some(), "{execution} ended {outcome:?}, was heard, and has no entry");
    }
}

/// Each stream is the outbox' under the same ids, but for what trimming removed and what was declared lost. What
/// trimming removed, by sequence numbers.
fn redis_has_what_the_outbox_has(world: &World) -> PerStream<BTreeSet<u64>> {
    let mut trimmed = PerStream::<BTreeSet<u64>>::default();
    for stream in Stream::ALL {
        let key = world.keys.stream(stream);
        let ours: BTreeMap<_, _> = world.disk.entries[stream].iter().map(|entry| (entry.id, entry)).collect();
        let removed = world.redis.trimmed.iter().filter(|(of, _)| *of == key);
        trimmed[stream] = removed.filter_map(|(_, id)| ours.get(id)).map(|entry| entry.seq).collect();
        let found = world.redis.keyspace().streams.get(&key);
        let found = found.unwrap_or_else(|| panic!("{stream} is not in Redis"));
        let mut there = BTreeSet::new();
        for (id, fields) in &found.entries {
            let fields: Vec<_> = fields.iter().map(|word| text(word)).collect();
            let pairs = fields.chunks_exact(2).map(|pair| (pair[0].as_str(), pair[1].as_str()));
            let entry =
                Entry::decode(stream, *id, pairs).unwrap_or_else(|error| panic!("{stream} {id}: {error}"));
            assert_eq!(
                ours.get(id),
                Some(&&entry),
                "{stream}: Redis has what the outbox has not, or differently"
            );
            there.insert(entry.seq);
        }
        let absent: Vec<_> = (1..=ours.len() as u64)
            .filter(|seq| !there.contains(seq))
            .filter(|seq| !trimmed[stream].contains(seq) && !world.declared[stream].contains(seq))
            .collect();
        assert!(absent.is_empty(), "{stream}: Redis lacks entries {absent:?}, and nobody says so");
        let group = found.groups.get(GROUP).unwrap_or_else(|| panic!("{stream} has no group"));
        // The next state that is saved acknowledges those, too: what was lost has no later one here.
        let lost =
            |id: &EntryId| ours.get(id).is_some_and(|entry| world.declared[stream].contains(&entry.seq));
        let stay: Vec<_> =
            group.pending.keys().filter(|id| !(world.ends_with_a_loss(stream) && lost(id))).collect();
        assert!(stay.is_empty(), "{stream}: {stay:?} stay pending");
    }
    trimmed
}

fn the_state_is_the_fold(world: &World, trimmed: &PerStream<BTreeSet<u64>>) {
    let value = world.redis.keyspace().strings.get(&world.keys.snapshot());
    let snapshot = Snapshot::parse(value.cloned().unwrap_or_default()).expect("the state was saved whole");
    let state = decode(&snapshot.bytes);
    let shadow = shadow_of(world, &state);
    for stream in Stream::ALL {
        let entries = &world.disk.entries[stream];
        let last = entries.last().map(|entry| entry.id).unwrap_or_default();
        let applied: BTreeSet<_> = shadow[stream].iter().copied().collect();
        assert_eq!(
            applied.len(),
            shadow[stream].len(),
            "{stream}: a state holds entries twice: {:?}",
            shadow[stream]
        );
        let reached = entries.partition_point(|entry| entry.id <= state.positions.get(stream)) as u64;
        let may_lack = |seq: &u64| {
            world.declared[stream].contains(seq)
                || world.buried[stream].contains(seq)
                || (world.harmed && (trimmed[stream].contains(seq) || world.removed[stream].contains(seq)))
        };
        let lacks: Vec<_> = (1..=reached).filter(|seq| !applied.contains(seq) && !may_lack(seq)).collect();
        assert!(lacks.is_empty(), "{stream}: the state at entry {reached} lacks {lacks:?}");
        let beyond = applied.iter().find(|seq| **seq > reached);
        assert_eq!(beyond, None, "{stream}: the state at entry {reached} holds a later one");
        if !may_lack(&(entries.len() as u64)) {
            assert_eq!(state.positions.get(stream), last, "{stream}: the state does not reach the end");
        }
    }
    assert!(state == folded(world, &state, &shadow), "the state is not the fold over its entries");
}

fn folded(world: &World, state: &ClientState, shadow: &Shadow) -> ClientState {
    let mut estimator = Estimator::default();
    let mut scheduler = Scheduler::new(PolicyName::Evenkeel, Lengths::default(), HoldLimits::default(), None);
    for stream in [Stream::Windows, Stream::Queue, Stream::Executions] {
        for seq in &shadow[stream] {
            fold(&mut estimator, &mut scheduler, &world.disk.entries[stream][*seq as usize - 1]);
        }
    }
    ClientState { positions: state.positions, estimator, scheduler: Some(scheduler.snapshot()) }
}

//! What must hold of every world, once everybody has come to rest.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use evenkeel_core::{
    invariants::{Audit, Merge, Report},
    journal::{Executed, Outcome, PerStream, Record, Stream},
    postgres::{frames::Fields, session::Recording},
    units::lengths::Lengths,
};
use uuid::Uuid;

use super::{
    client::Talk,
    database::Spoken,
    texts::{Does, Key, Message, Text, take_message, take_packet},
    world::{Around, World},
};
use crate::postgres::recorder::WhenFull;

/// What a power cut may take of `async`, beside what the disk takes for two commits.
const UNSYNCED_MAX: Duration = Duration::from_millis(50);

pub(super) fn all(world: &mut World, talks: &[&Talk], gap: u64) {
    let spoken = world.database.all_spoken();
    let statements = talks.iter().flat_map(|talk| statements(&messages(&talk.sent))).collect();
    let mut sent = Vec::new();
    for one in spoken {
        let written = written(one);
        sent.extend(keys(&written));
        if let Some(talk) = talks.iter().find(|talk| talk.pid == Some(one.pid)) {
            what_leaves_is_what_came(&written, &messages(&talk.sent));
        }
    }
    let around = &world.around;
    nothing_is_sent_twice_or_after_it_was_given_up(around, &sent);
    outcomes_are_true(around, &statements);
    what_has_no_record_is_told(around, gap);
    the_journal_is_whole(around);
}

fn messages(bytes: &[u8]) -> Vec<Message> {
    let mut bytes = bytes.to_vec();
    std::iter::from_fn(|| take_message(&mut bytes)).collect()
}

/// What evenkeel has written to a backend as far as it is whole, but for its own questions.
fn written(spoken: &Spoken) -> Vec<Message> {
    let mut bytes = spoken.line.borrow().written.clone();
    if take_packet(&mut bytes).is_none() {
        return Vec::new();
    }
    let own = |message: &Message| {
        message.kind() == b'Q' && message.body().windows(11).any(|part| part == b"pg_catalog.")
    };
    messages(&bytes).into_iter().filter(|message| message.kind() != b'p' && !own(message)).collect()
}

/// What tagged statements do.
fn statements(messages: &[Message]) -> Vec<(Key, Does)> {
    let of = |message: &Message| {
        let mut fields = Fields(message.body());
        let text = match message.kind() {
            b'Q' => fields.text(),
            b'P' => fields.text().and_then(|_| fields.text()),
            _ => None,
        };
        let Text(statements) = Text::of(&String::from_utf8_lossy(text?));
        Some(statements.into_iter().filter_map(|(does, key)| Some((key?, does))))
    };
    messages.iter().filter_map(of).flatten().collect()
}

/// The tagged statements that messages make the database run, if nothing keeps it from that.
fn keys(messages: &[Message]) -> Vec<Key> {
    let (mut statements, mut portals, mut found) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
    for message in messages {
        let mut fields = Fields(message.body());
        let mut name = || fields.text().unwrap_or_default().to_vec();
        match message.kind() {
            b'Q' => {
                let Text(statements) = Text::of(&String::from_utf8_lossy(&name()));
                found.extend(statements.into_iter().filter_map(|(_, key)| key));
            }
            b'P' => {
                let (name, text) = (name(), name());
                statements.insert(name, Text::of(&String::from_utf8_lossy(&text)));
            }
            b'B' => {
                let (portal, name) = (name(), name());
                portals.insert(portal, statements.get(&name).and_then(|Text(text): &Text| text.first()?.1));
            }
            // Only the first one begins it.
            b'E' => found.extend(portals.get_mut(&name()).and_then(Option::take)),
            _ => {}
        }
    }
    found
}

/// In its order, byte for byte, but for batches that were given up. A Sync may take the place of such a batch.
fn what_leaves_is_what_came(written: &[Message], sent: &[Message]) {
    let relevant = |message: &&Message| !matches!(message.kind(), b'S' | b'X');
    let mut sent = sent.iter().filter(relevant);
    for message in written.iter().filter(relevant) {
        assert!(sent.any(|one| one == message), "evenkeel has sent {message:?}, which no client sent there");
    }
}

fn nothing_is_sent_twice_or_after_it_was_given_up(around: &Around, sent: &[Key]) {
    let mut seen = BTreeSet::new();
    for key in sent {
        assert!(seen.insert(key), "{key:?} was sent twice");
    }
    for (execution, key) in around.writer.never_sent() {
        assert!(!seen.contains(&key), "{key} was sent, and {execution} is journalled as never sent");
    }
}

/// An explicit transaction of a session.
type Transaction = (Uuid, u64);

fn within(executed: &Executed) -> Option<Transaction> {
    let statement = executed.statement.as_ref()?;
    Some((statement.session, statement.transaction?))
}

fn outcomes_are_true(around: &Around, statements: &BTreeMap<Key, Does>) {
    let mut of_blocks = Vec::new();
    let (mut committed, mut seen) = (BTreeSet::new(), BTreeSet::new());
    for entry in &around.writer.disk.entries[Stream::Executions] {
        let Record::Executed(executed) = &entry.record else { continue };
        let tag = executed.statement.as_ref().and_then(|statement| statement.tag.as_ref()?.parse().ok());
        let Some(key) = tag else { continue };
        assert!(seen.insert(key), "{key} has two ends");
        let does = *statements.get(&key).unwrap_or_else(|| panic!("nobody sent {key}, which has a record"));
        let fate = around.fates.get(&key).copied().unwrap_or_default();
        match executed.outcome {
            Outcome::Ok => {
                assert!(fate.completed, "{key} is `ok`, and the database has not said so");
                match within(executed) {
                    Some(within) if does == Does::Commits => drop(committed.insert(within)),
                    Some(within) => of_blocks.push((within, key, does, fate)),
                    None => assert!(
                        fate.acted.is_some() || !does.acts(),
                        "{key} is `ok`, and has left nothing: {executed:?}"
                    ),
                }
            }
            Outcome::Failed => {
                let acted = fate.acted.is_some() && does != Does::Outside;
                assert!(!acted, "{key} has acted, and is `failed`: {:?}", executed.answer);
            }
            Outcome::Unknown => {}
        }
    }
    for (within, key, does, fate) in of_blocks {
        let lasts =
            fate.acted.is_some() || !does.acts() || does == Does::Outside || !committed.contains(&within);
        assert!(lasts, "{key:?} and its COMMIT are `ok`, and it has left nothing");
    }
}

fn what_has_no_record_is_told(around: &Around, gap: u64) {
    let lost: Vec<_> = around.unrecorded.iter().filter(|key| !around.writer.has(**key)).collect();
    if around.when_full == WhenFull::Pass && around.troubled {
        let told = around.gap + gap;
        let more = around.recording != Recording::Async && lost.len() as u64 > told;
        assert!(!more, "{} have no record, and {told} are counted: {lost:?}", lost.len());
        return;
    }
    assert!(lost.is_empty() || around.recording == Recording::Async, "{lost:?} have no record");
    if around.troubled {
        return;
    }
    for key in lost {
        let written = around.fates[key].written.expect("it has run");
        let most = UNSYNCED_MAX + 2 * around.writer.waited_max;
        let taken = around.kills.iter().any(|kill| {
            // Before the first tick there is none with which anything could be recorded.
            let since = kill.ready.map_or(kill.at, |ready| ready.max(written));
            written <= kill.at && kill.at - since.min(kill.at) <= most
        });
        assert!(
            taken,
            "{key:?} has no record: written {:?}, kills {:?}",
            written - around.began,
            around.kills
        );
    }
}

fn the_journal_is_whole(around: &Around) {
    let disk = &around.writer.disk;
    let first = PerStream::from_fn(|stream| disk.entries[stream].first().cloned());
    let mut audit = Audit::new(Lengths::default(), &first).with_released(Vec::new());
    let PerStream { executions, queue, windows } = PerStream::from_fn(|stream| {
        disk.entries[stream].iter().cloned().map(Ok::<_, ()>).collect::<Vec<_>>().into_iter()
    });
    for entry in Merge::new(PerStream { executions, queue, windows }).flatten() {
        audit.entry(&entry);
    }
    let Report { findings, .. } = audit.finish(disk.head.state.next_tick, Some(&[]));
    assert_eq!(findings.count(), 0, "the audit found {:?}", findings.first());
}

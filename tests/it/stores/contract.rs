//! One contract, two stores: the outbox that an embedded client reads, and Redis Streams.

use std::sync::Arc;

use evenkeel_actors::ports::{history::End, state_store::DeadLetter};
use evenkeel_core::{
    invariants::TruthRow,
    journal::{Entry, EntryId, Executed, QueryText, Record, Statement, Stream},
    leveller::ClientState,
    server::queue::Arrival,
    units::{
        ids::{ExecutionId, QueryId},
        tick::Tick,
    },
};
use uuid::Uuid;

use super::world::{Embedded, Handed, Store, at, read_up_to, state};
use crate::support::journal::{NOW_MS, Server};

async fn what_is_recorded_is_handed_out_once_in_order_under_its_ids<S: Store>() {
    let mut server = Server::new();
    let mut store = S::new(&server);
    server.tick(40).await;
    store.hand_out();
    server.tick(25).await;
    store.hand_out();
    let recorded = server.recorded();
    for stream in Stream::ALL {
        assert_eq!(store.entries(stream), recorded[stream]);
    }
    assert_eq!(store.verify(), (0, Some((Tick(0), Tick(59)))));
}

async fn a_reader_gets_everything_after_its_positions_and_is_told_when_it_has_caught_up<S: Store>() {
    let mut server = Server::new();
    let mut store = S::new(&server);
    server.tick(40).await;
    store.hand_out();
    let mut positions = store.states().take_over().unwrap().positions;
    let source = store.source();
    let first = read_up_to(&*source, positions, 39).await;
    assert_eq!(first, server.recorded());
    for stream in Stream::ALL {
        positions.advance(stream, first[stream].last().unwrap().id);
    }
    // The last tick of these has no arrivals.
    server.tick(24).await;
    store.hand_out();
    let second = read_up_to(&*source, positions, 63).await;
    let recorded = server.recorded();
    for stream in Stream::ALL {
        assert_eq!(second[stream], recorded[stream][first[stream].len()..]);
    }
}

async fn a_reader_that_saved_nothing_gets_everything_again<S: Store>() {
    let mut server = Server::new();
    let mut store = S::new(&server);
    server.tick(40).await;
    store.hand_out();
    for _ in 0..3 {
        let positions = store.states().take_over().unwrap().positions;
        assert_eq!(read_up_to(&*store.source(), positions, 39).await, server.recorded());
    }
}

async fn the_newest_whole_state_is_loaded<S: Store>() {
    let mut server = Server::new();
    server.tick(20).await;
    let mut store = S::new(&server);
    store.hand_out();
    let mut states = store.states();
    assert_eq!(states.take_over().unwrap(), ClientState::default());
    states.store(&state(at(NOW_MS + 1))).unwrap();
    states.store(&state(at(NOW_MS + 2))).unwrap();
    assert_eq!(store.states().take_over().unwrap().positions, at(NOW_MS + 2));
    store.spoil_snapshot();
    let mut after = store.states();
    assert_eq!(after.take_over().unwrap().positions, at(NOW_MS + 1), "the generation before it");
    after.store(&state(at(NOW_MS + 3))).unwrap();
    assert_eq!(store.states().take_over().unwrap().positions, at(NOW_MS + 3));
}

async fn the_right_to_level_is_taken_again_and_given_back<S: Store>() {
    let mut server = Server::new();
    server.tick(5).await;
    let mut store = S::new(&server);
    store.hand_out();
    let mut states = store.states();
    states.acquire().unwrap();
    // After a panic nobody has given it back.
    states.acquire().unwrap();
    states.store(&state(at(NOW_MS + 1))).unwrap();
    states.release();
    let mut next = store.states();
    next.acquire().unwrap();
    assert_eq!(next.load().unwrap().positions, at(NOW_MS + 1));
}

async fn a_history_is_read_from_any_place_in_both_directions<S: Store>() {
    let mut server = Server::new();
    server.tick(60).await;
    let mut store = S::new(&server);
    store.hand_out();
    let recorded = server.recorded();
    let mut history = store.history()().unwrap();
    assert_eq!(history.next_tick().unwrap(), Tick(60));
    for stream in Stream::ALL {
        let all = &recorded[stream];
        let (first, middle, last) = (&all[0], &all[all.len() / 2], &all[all.len() - 1]);
        let info = history.info(stream).unwrap();
        assert_eq!((info.length, info.first), (all.len() as u64, Some(End::from(first))));
        assert_eq!(info.last, Some(End::from(last)));
        assert_eq!(history.tail(stream, 2).unwrap().entries, all[all.len() - 2..]);
        assert_eq!(history.after(stream, middle.id, 2).unwrap().entries, all[all.len() / 2 + 1..][..2]);
        assert_eq!(history.before(stream, middle.id, 2).unwrap().entries, all[all.len() / 2 - 2..][..2]);
        assert!(history.after(stream, last.id, 1).unwrap().is_empty());
        assert!(history.before(stream, first.id, 1).unwrap().is_empty());
        for tick in [0, 1, 20, 21, 59, 60, 99].map(Tick) {
            let place = history.before_tick(stream, tick).unwrap();
            let (before, from) = all.split_at(all.partition_point(|entry| entry.record.tick() < tick));
            let page = history.after(stream, place, 1).unwrap();
            assert_eq!(page.entries.first(), from.first(), "{stream} from {tick}");
            assert!(before.last().is_none_or(|entry| entry.id <= place), "{stream} before {tick}");
        }
    }
    for entry in &recorded[Stream::Executions] {
        let Record::Executed(executed) = &entry.record else { unreachable!("of this stream") };
        assert_eq!(history.find(executed.execution).unwrap().as_ref(), Some(executed));
    }
    assert_eq!(history.find(ExecutionId::new(NOW_MS, 12_345)).unwrap(), None);
}

async fn a_dead_letter_is_kept_once<S: Store>() {
    let mut server = Server::new();
    server.tick(5).await;
    let mut store = S::new(&server);
    store.hand_out();
    let mut states = store.states();
    states.take_over().unwrap();
    let dead = DeadLetter {
        stream: Stream::Queue,
        id: EntryId { ms: NOW_MS, n: 3 },
        reason: "it was one too many".to_owned(),
    };
    states.bury(&dead).unwrap();
    states.bury(&dead).unwrap();
    let mut history = store.history()().unwrap();
    assert_eq!(history.dead_letters().unwrap(), std::slice::from_ref(&dead));
    let verdict = history.verify(None, &mut |_, _| ()).unwrap();
    assert_eq!((verdict.report.findings.count(), verdict.wrong.as_slice()), (0, &[dead.to_string()][..]));
    assert!(!verdict.holds());
}

async fn where_a_history_stands_is_told_at_one_moment<S: Store>() {
    let mut server = Server::new();
    server.tick(35).await;
    let mut store = S::new(&server);
    store.hand_out();
    let (recorded, meta) = (server.recorded(), server.writer.meta());
    let mut history = store.history()().unwrap();
    let head = history.head().unwrap();
    assert_eq!((head.journal, head.label), (meta.journal.to_string(), Some(meta.identity.label.clone())));
    assert_eq!((head.writer_epoch, head.next_tick), (Some(meta.writer_epoch), Tick(35)));
    assert_eq!(head.next_tick, history.next_tick().unwrap());
    for stream in Stream::ALL {
        assert_eq!(head.streams[stream], history.info(stream).unwrap());
        assert_eq!(head.streams[stream].last, recorded[stream].last().map(End::from));
    }
}

async fn a_history_is_checked_against_the_truth<S: Store>() {
    let mut server = Server::new();
    server.tick(40).await;
    let mut store = S::new(&server);
    store.hand_out();
    let ran = server.recorded()[Stream::Executions].clone();
    let mut truth: Vec<TruthRow> = ran.iter().filter_map(truth_of).collect();
    let check = |truth: &[TruthRow]| {
        let (mut history, mut told) = (store.history()().unwrap(), Vec::new());
        let mut progress = |read, total| told.push((read, total));
        let verdict = history.verify(Some(truth.to_vec()), &mut progress).unwrap();
        assert!(told.iter().all(|(read, total)| read <= total), "{told:?}");
        verdict
    };
    let verdict = check(&truth);
    assert!(verdict.holds(), "{:?}", verdict.report.findings.first());
    assert_eq!(verdict.report.proved, Some((Tick(0), Tick(29))));
    truth.remove(truth.len() / 2);
    assert!(!check(&truth).holds(), "one was recorded that never ran");
}

async fn texts_and_statements_are_handed_out_as_they_are<S: Store>() {
    let mut server = Server::new();
    server.tick(3).await;
    let mut store = S::new(&server);
    let query = |n| QueryId(Uuid::from_u128(n));
    let text = |n: u128| QueryText {
        query: query(n),
        text: format!("select 'é', {n} from t where a = $1"),
        database: "shop".to_owned(),
        kind: "select".to_owned(),
    };
    let statement = Arc::new(Statement {
        class: "batch".to_owned(),
        user: "ann".to_owned(),
        database: "shop".to_owned(),
        application: String::new(),
        client: "[::1]:5".to_owned(),
        session: Uuid::from_u128(7),
        transaction: Some(2),
        pid: 4711,
        backend_start: Some(-5),
        tag: Some("a=b".to_owned()),
    });
    let execution = ExecutionId::new(NOW_MS, 77);
    let arrival = Arrival { statement: Some(Arc::clone(&statement)), ..(execution, query(1)).into() };
    server.tick_with(vec![arrival], vec![text(2), text(1)]).await;
    store.hand_out();
    server.tick_with(Vec::new(), (3..1_500).map(text).collect()).await;
    server.tick(1).await;
    store.hand_out();
    let mut history = store.history()().unwrap();
    let mut texts = history.texts().unwrap();
    texts.sort_by_key(|text| text.query);
    assert_eq!(texts, (1..1_500).map(text).collect::<Vec<_>>());
    assert_eq!(history.text(query(2)).unwrap(), Some(text(2)));
    assert_eq!(history.text(query(9_999)).unwrap(), None);
    assert_eq!(history.find(execution).unwrap().unwrap().statement, Some(statement));
    assert_eq!(store.entries(Stream::Queue), server.recorded()[Stream::Queue]);
}

fn truth_of(entry: &Entry) -> Option<TruthRow> {
    let Record::Executed(Executed { tick, execution, query, .. }) = entry.record.clone() else { return None };
    Some(TruthRow { tick, execution, query })
}

macro_rules! contract {
    ($($name:ident),*) => {
        mod outbox {
            $(#[actix::test] async fn $name() { super::$name::<super::Embedded>().await; })*
        }
        mod redis_streams {
            $(#[actix::test] async fn $name() { super::$name::<super::Handed>().await; })*
        }
    };
}

contract!(
    what_is_recorded_is_handed_out_once_in_order_under_its_ids,
    a_reader_gets_everything_after_its_positions_and_is_told_when_it_has_caught_up,
    a_reader_that_saved_nothing_gets_everything_again,
    the_newest_whole_state_is_loaded,
    the_right_to_level_is_taken_again_and_given_back,
    a_history_is_read_from_any_place_in_both_directions,
    a_dead_letter_is_kept_once,
    where_a_history_stands_is_told_at_one_moment,
    a_history_is_checked_against_the_truth,
    texts_and_statements_are_handed_out_as_they_are
);

//! What Redis holds and cannot be read, or only by a newer program; numbers to the last digit.

use evenkeel_actors::{
    ports::history::History as _,
    stores::{file::state::FileStateStore, redis::RedisReader},
};
use evenkeel_core::journal::Stream;

use super::world::{Handed, PATIENCE, Store, at, state};
use crate::support::journal::{NOW_MS, Server};

/// One undecodable last entry, and every window was said to count nothing.
#[actix::test]
async fn an_entry_that_cannot_be_read_is_named_and_the_rest_is_judged() {
    let mut server = Server::new();
    let mut store = Handed::new(&server);
    server.tick(60).await;
    store.hand_out();
    let (findings, proved) = store.verify();
    assert_eq!(findings, 0);
    let spoil = |stream: &str, id: &str| {
        store.redis.cli(&["XADD", &format!("evenkeel:{{main}}:{stream}"), id, "v", "1", "seq", "x"]);
    };
    let named = || {
        let verdict = store.reader().verify(None, &mut |_, _| ()).unwrap();
        assert_eq!(verdict.report.findings.first(), [], "the rest holds");
        assert!(!verdict.holds());
        (verdict.wrong.len(), verdict.report.proved)
    };
    for (at, stream) in ["executions", "queue", "windows"].into_iter().enumerate() {
        spoil(stream, "9999999999999-0");
        assert_eq!(named(), (at + 1, proved), "{stream}");
    }
}

/// In the middle: a window lacks what cannot be read, and is not judged by it.
#[actix::test]
async fn what_follows_from_an_unreadable_entry_is_not_a_finding_of_its_own() {
    let mut server = Server::new();
    let mut store = Handed::new(&server);
    server.tick(60).await;
    store.hand_out();
    for stream in Stream::ALL {
        let key = format!("evenkeel:{{main}}:{stream}");
        let entries = store.entries(stream);
        // The stream is written again, with one entry in it spoilt, as a damaged copy might have it.
        store.redis.cli(&["DEL", &key]);
        for (at, entry) in entries.iter().enumerate() {
            let fields = entry.fields();
            let mut add = vec!["XADD".to_owned(), key.clone(), entry.id.to_string()];
            for (name, value) in fields {
                let spoilt = name == "seq" && at == entries.len() / 2;
                add.extend([name.to_owned(), if spoilt { "x".to_owned() } else { value }]);
            }
            store.redis.cli(&add.iter().map(String::as_str).collect::<Vec<_>>());
        }
        let verdict = store.reader().verify(None, &mut |_, _| ()).unwrap();
        assert_eq!(verdict.report.findings.first(), [], "{stream}");
        let spoilt = entries[entries.len() / 2].id;
        let named = format!("{stream} entry {spoilt} ");
        assert!(verdict.wrong.iter().any(|wrong| wrong.starts_with(&named)), "{stream}: {:?}", verdict.wrong);
    }
}

/// An older server beside a newer one's streams wrote over their format, and an older client threw their entries away.
#[actix::test]
async fn a_newer_format_stops_both_and_loses_nothing() {
    let mut server = Server::new();
    let mut store = Handed::new(&server);
    server.tick(40).await;
    store.hand_out();
    let meta = "evenkeel:{main}:meta";
    let positions = store.states().take_over().unwrap().positions;
    // An entry of a later format, in the middle of what is to be read.
    let later = [("v", "3"), ("seq", "99"), ("anything", "else")];
    let mut add = vec!["XADD", "evenkeel:{main}:windows", "9999999999999-0"];
    add.extend(later.iter().flat_map(|(name, value)| [*name, *value]));
    store.redis.cli(&add);
    let mut reads = store.source().follow(positions);
    let stopped = async {
        loop {
            if let Err(error) = reads.recv().await.expect("it says why it ends") {
                return error.to_string();
            }
        }
    };
    let said = tokio::time::timeout(PATIENCE, stopped).await.expect("it stops");
    assert!(said.contains("is of format 3") && said.contains("up to format 2"), "{said}");
    assert_eq!(store.reader().dead_letters().unwrap(), [], "nothing is thrown away");
    let pending = store.redis.cli(&["XPENDING", "evenkeel:{main}:windows", "scheduler"]);
    assert!(pending.contains("9999999999999-0"), "nothing is acknowledged: {pending}");
    store.redis.cli(&["DEL", "evenkeel:{main}:windows"]);

    store.redis.cli(&["HSET", meta, "format", "3"]);
    let epoch = store.redis.cli(&["HGET", "evenkeel:{main}:lease", "epoch"]);
    let refused = store.states().take_over().unwrap_err().to_string();
    assert!(refused.contains("is of format 3"), "{refused}");
    assert_eq!(
        store.redis.cli(&["HGET", "evenkeel:{main}:lease", "epoch"]),
        epoch,
        "the lease is left alone"
    );
    store.shipment = Handed::shipment(&server, &store.redis, 5_000_000, 1);
    let refused = store.shipment.ship().unwrap_err().to_string();
    assert!(refused.contains("is of format 3") && refused.contains("up to format 2"), "{refused}");
    assert_eq!(store.redis.cli(&["HGET", meta, "format"]), "3", "it is not written over");
    assert!(RedisReader::open(&store.target("inspection"), Handed::keys()).is_err());

    store.redis.cli(&["HSET", meta, "format", "0"]);
    let refused = store.shipment.ship().unwrap_err().to_string();
    assert!(refused.contains("no step to format 2"), "{refused}");
    assert_eq!(store.redis.cli(&["HGET", meta, "format"]), "0");
    store.redis.cli(&["HSET", meta, "format", "1"]);
    store.hand_out();
    assert_eq!(store.redis.cli(&["HGET", meta, "format"]), "2", "from 1 there is a step");
}

/// A snapshot that a later evenkeel wrote is no damaged one: neither the older one nor nothing takes its place.
#[actix::test]
async fn a_snapshot_of_a_newer_format_is_left_and_so_is_the_lease() {
    let mut server = Server::new();
    let mut store = Handed::new(&server);
    server.tick(5).await;
    store.hand_out();
    let mut states = store.states();
    states.take_over().unwrap();
    states.store(&state(at(NOW_MS + 1))).unwrap();
    let written = "evenkeel snapshot v5 generation=9 bytes=3 crc=0e45b577\nabc";
    store.redis.cli(&["SET", "evenkeel:{main}:snapshot:scheduler", written]);
    let refused = store.states().take_over().unwrap_err().to_string();
    assert!(refused.contains("snapshot in Redis is of format 5"), "{refused}");
    assert_eq!(
        store.redis.cli(&["HGET", "evenkeel:{main}:lease", "holder"]),
        "",
        "who can read it may have it"
    );
    let file = server.dir().join("client-snapshot.0");
    std::fs::write(&file, written).unwrap();
    let refused = FileStateStore::open(&server.dir()).unwrap_err().to_string();
    assert!(refused.contains("client-snapshot.0 is of format 5"), "{refused}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), written);
}

/// Lua's `tostring` keeps 14 digits: a lease that stood higher was never held.
#[actix::test]
async fn the_lease_counts_on_exactly_wherever_it_stands() {
    let mut server = Server::new();
    server.tick(5).await;
    let mut store = Handed::new(&server);
    store.hand_out();
    let lease = "evenkeel:{main}:lease";
    for (stands, held) in [
        ("1234567890123457", 1_234_567_890_123_458),
        // Nothing can be counted on from these: it begins anew, above what this client has held.
        ("9007199254740992", 1_234_567_890_123_459),
        ("9.007199254741e+15", 1_234_567_890_123_460),
        ("nan", 1_234_567_890_123_461),
    ] {
        store.redis.cli(&["HSET", lease, "epoch", stands, "holder", ""]);
        let mut states = store.states();
        states.take_over().unwrap();
        assert_eq!(store.epoch.held(), held, "after {stands}");
        states.store(&state(at(NOW_MS + 1))).unwrap();
        assert_eq!(store.redis.cli(&["HGET", lease, "epoch"]), held.to_string());
    }
}

/// Ids have more digits than Lua's numbers.
#[actix::test]
async fn a_state_that_is_older_by_one_in_the_last_digit_is_not_saved() {
    let mut server = Server::new();
    server.tick(5).await;
    let mut store = Handed::new(&server);
    store.hand_out();
    let mut states = store.states();
    states.take_over().unwrap();
    states.store(&state(at(9_007_199_254_740_993))).unwrap();
    let older = states.store(&state(at(9_007_199_254_740_992))).unwrap_err().to_string();
    assert!(older.contains("a later state has been saved"), "{older}");
    states.store(&state(at(10_000_000_000_000_000))).unwrap();
}

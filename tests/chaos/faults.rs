//! What happens to a world: somebody ends, somebody meddles with Redis, something passing on the way.

use std::{net::TcpStream, time::Duration};

use evenkeel_core::{chance::Dice, journal::Stream};

use crate::{
    Totals,
    support::{
        pause,
        proxy::Way,
        redis::Redis,
        three::{Fault, Three},
        wait_until,
    },
};

/// An id after all of evenkeel's own.
const FOREIGN: &str = "9999999999999-0";

/// Does something to somebody, and says what.
pub(crate) fn one_fault(dice: &mut Dice, three: &mut Three, totals: &mut Totals) -> String {
    let names = |victims: [bool; 3]| {
        let names = ["server", "client", "redis"].into_iter().zip(victims);
        names.filter(|(_, hit)| *hit).map(|(name, _)| name).collect::<Vec<_>>()
    };
    let away = |dice: &mut Dice, most| Duration::from_millis(dice.roll(most));
    match dice.roll(130) {
        120..123 => trimmed_by_somebody(dice, three, totals),
        123..128 => fail_over(three, totals),
        128.. => {
            three.pair.redis.kill();
            // One in five commands of its file takes some microseconds more.
            three.pair.redis.restart_with(&["--key-load-delay", "-5"]);
            totals.count("kill redis");
            totals.count("Redis takes long to load");
            "kill redis, which takes long to load".to_owned()
        }
        // Not forwards by more: what is older than ten minutes may leave the outbox, with which all is compared at the end.
        112..116 => {
            let offset = ["+0", "-5s", "+5s", "-1h"][dice.roll(4) as usize];
            three.pair.set_clock(offset);
            totals.count("clock set");
            format!("clock set to {offset}")
        }
        116.. if cfg!(feature = "faults") => panics(dice, three, totals),
        100.. => trouble(dice, three, totals),
        0..70 => {
            // Server and client far more often than Redis, which takes the longest to start.
            let victims = [
                [true, false, false],
                [false, true, false],
                [true, true, false],
                [false, false, true],
                [true; 3],
            ];
            let victims = victims[[0, 0, 0, 1, 1, 1, 2, 2, 3, 4][dice.roll(10) as usize]];
            let away = away(dice, 150);
            three.suffer(Fault::Kill, victims, away);
            for name in names(victims) {
                totals.count(&format!("kill {name}"));
            }
            format!("kill {}", names(victims).join(" "))
        }
        70..78 => {
            let victims = 1 + dice.roll(7);
            let victims = [1, 2, 4].map(|bit| victims & bit != 0);
            let away = away(dice, 150);
            three.suffer(Fault::Terminate, victims, away);
            totals.count("terminate");
            format!("terminate {}", names(victims).join(" "))
        }
        78..86 => {
            let victims = 1 + dice.roll(7);
            let victims = [1, 2, 4].map(|bit| victims & bit != 0);
            let away = away(dice, 1_500);
            three.suffer(Fault::Stop, victims, away);
            totals.count("stop and go on");
            format!("stop {} for {} ms", names(victims).join(" "), away.as_millis())
        }
        86 => {
            three.suffer(Fault::Terminate, [false, false, true], Duration::from_secs(3));
            totals.count("Redis away for 3 s");
            "Redis away for 3 s".to_owned()
        }
        87..89 => {
            let bytes = 1 + dice.roll(60_000);
            three.pair.redis.kill();
            three.pair.redis.cut_append_only_file(bytes);
            three.pair.redis.restart();
            totals.count("kill redis");
            totals.count("Redis loses its last entries");
            format!("kill redis, its file cut by {bytes} bytes")
        }
        89..96 => meddle(dice, three, totals),
        96..98 if !two_states(&three.pair.redis) => "no older state that is whole".to_owned(),
        96..98 => {
            // The older generation, and what followed it again.
            three.client.take().unwrap().kill();
            three.pair.redis.cli(&["SET", "evenkeel:{main}:snapshot:scheduler", "spoiled"]);
            three.client = Some(three.pair.start_client());
            totals.count("kill client");
            totals.count("newest state spoiled");
            "kill client, its newest state spoiled".to_owned()
        }
        98 => {
            let second = three.pair.start_client();
            three.client.replace(second).unwrap().kill();
            totals.count("kill client");
            totals.count("second client takes over");
            "kill client, a second one takes over".to_owned()
        }
        _ => {
            let refused = three.pair.second_server();
            assert_eq!(refused.status.code(), Some(1), "{}", String::from_utf8_lossy(&refused.stderr));
            totals.count("second server refused");
            "a second server on the same directory is refused".to_owned()
        }
    }
}

/// Whether a client would find an older state, if the newest one were spoilt: what lies before both may have been trimmed.
fn two_states(redis: &Redis) -> bool {
    let whole = |which| {
        let key = format!("evenkeel:{{main}}:snapshot:scheduler{which}");
        redis.cli(&["GETRANGE", &key, "0", "16"]) == "evenkeel snapshot"
    };
    whole("") && whole(":previous")
}

/// An operator's commands, none of which takes away what the outbox does not have.
fn meddle(dice: &mut Dice, three: &Three, totals: &mut Totals) -> String {
    let key = |stream: Stream| format!("evenkeel:{{main}}:{stream}");
    let one = key(Stream::ALL[dice.roll(3) as usize]);
    let command = match dice.roll(6) {
        0 => vec!["FLUSHALL"],
        1 | 2 => vec!["DEL", &one],
        3 => vec!["XGROUP", "DESTROY", &one, "scheduler"],
        4 => vec!["XGROUP", "DELCONSUMER", &one, "scheduler", "scheduler"],
        _ => vec!["XGROUP", "SETID", &one, "scheduler", "$"],
    };
    three.pair.redis.cli(&command);
    let name = command.iter().filter(|word| !word.contains(':')).copied().collect::<Vec<_>>().join(" ");
    totals.count(&name);
    command.join(" ")
}

/// An operator removes what the client has saved for good: its readers miss it, so the server says which entries those were.
fn trimmed_by_somebody(dice: &mut Dice, three: &mut Three, totals: &mut Totals) -> String {
    let redis = &three.pair.redis;
    let stream = Stream::ALL[dice.roll(3) as usize];
    let key = format!("evenkeel:{{main}}:{stream}");
    let first = |end: &str| {
        let fields = redis.cli(&["XRANGE", &key, "-", end, "COUNT", "1"]);
        let seq = fields.lines().skip_while(|line| *line != "seq").nth(1);
        seq.and_then(|seq| seq.parse::<u64>().ok())
    };
    let (mut saved, mut before) = (String::new(), None);
    wait_until("the client has saved twice", || {
        saved = redis.cli(&["HGET", "evenkeel:{main}:client", &format!("previous_{stream}")]);
        before = first(&format!("({saved}"));
        before.is_some()
    });
    let before = before.unwrap();
    let removed = redis.cli(&["XTRIM", &key, "MINID", &saved]);
    let after = first("+");
    wait_until("the server declares what is lost", || {
        let fields = redis.cli(&["HKEYS", "evenkeel:{main}:meta"]);
        let mut declared =
            fields.lines().filter_map(|field| field.strip_prefix(&format!("lost:{stream}:{before}-")));
        // Where nothing was left, the next entry decides how far it goes.
        declared.any(|last| after.is_none_or(|after| last.parse() == Ok(after - 1)))
    });
    totals.count("XTRIM by somebody, declared");
    // It shows a loss for an hour; the next start has nothing more to declare.
    three.suffer(Fault::Kill, [true, false, false], Duration::ZERO);
    totals.count("kill server");
    format!("XTRIM {key}: {removed} entries from {before} on, declared; kill server")
}

/// Redis goes on as it was at the last such call: a replica that was behind takes over.
fn fail_over(three: &mut Three, totals: &mut Totals) -> String {
    let redis = &mut three.pair.redis;
    if !redis.has_a_copy() {
        redis.keep_a_copy();
        return "a replica gets nothing more".to_owned();
    }
    redis.kill();
    redis.take_the_copy();
    redis.restart();
    totals.count("kill redis");
    totals.count("a stale replica takes over");
    "kill redis, a stale replica takes over".to_owned()
}

/// Server, client or both live for a while with actors that panic in their handlers, up to the sixth restart.
fn panics(dice: &mut Dice, three: &mut Three, totals: &mut Totals) -> String {
    let one_in = 40 + dice.roll(300);
    let actors = ["queue", "daemon", "monitor", "journal", "consumer", "estimator", "scheduler"];
    three.pair.fault = Some(actors.map(|actor| format!("panic-{actor}=1/{one_in}")).join(","));
    let victims = [[true, false, false], [false, true, false], [true, true, false]][dice.roll(3) as usize];
    let count = |three: &Three| three.pair.said().matches("fault: panic-").count() as u64;
    let before = count(three);
    three.suffer(Fault::Kill, victims, Duration::ZERO);
    let time = Duration::from_millis(300 + dice.roll(2_000));
    pause(time);
    three.pair.fault = None;
    three.suffer(Fault::Kill, victims, Duration::ZERO);
    let panicked = count(three) - before;
    *totals.done.entry("panic in an actor".to_owned()).or_default() += panicked;
    for name in ["server", "client"].into_iter().zip(victims).filter_map(|(name, hit)| hit.then_some(name)) {
        totals.count(&format!("kill {name}"));
        totals.count(&format!("kill {name}"));
    }
    format!("{panicked} panics in {} ms", time.as_millis())
}

/// Something passing, on the way to Redis, in Redis, or at the server's door.
fn trouble(dice: &mut Dice, three: &Three, totals: &mut Totals) -> String {
    let (way, redis) = (three.pair.way.as_ref().unwrap(), &three.pair.redis);
    let time = Duration::from_millis(200 + dice.roll(1_500));
    let name = match dice.roll(9) {
        kind @ 0..2 => {
            let one = Way::BOTH[kind as usize];
            way.hold_up(one, true);
            pause(time);
            way.hold_up(one, false);
            ["nothing gets to Redis", "nothing comes from Redis"][kind as usize]
        }
        2 => {
            way.refuse(true);
            pause(time);
            way.refuse(false);
            "the way to Redis is cut"
        }
        3 => {
            way.slow_down(10 + dice.roll(190));
            way.narrow(Some(8_000 + dice.roll(100_000)));
            pause(time);
            way.slow_down(0);
            way.narrow(None);
            "a slow and narrow way to Redis"
        }
        4 => {
            redis.cli(&["CONFIG", "SET", "maxmemory", "1"]);
            pause(time);
            redis.cli(&["CONFIG", "SET", "maxmemory", "0"]);
            "Redis out of memory"
        }
        5 => {
            redis.cli(&["REPLICAOF", "127.0.0.1", "1"]);
            pause(time);
            redis.cli(&["REPLICAOF", "NO", "ONE"]);
            "Redis read only"
        }
        6 => {
            let key = format!("evenkeel:{{main}}:{}", Stream::ALL[dice.roll(3) as usize]);
            redis.cli(&["XADD", &key, FOREIGN, "who", "somebody else"]);
            pause(time);
            redis.cli(&["DEL", &key]);
            "a foreign entry, and its stream deleted"
        }
        7 => {
            for user in ["server", "client"] {
                redis.change_password(user, false);
            }
            pause(time);
            for user in ["server", "client"] {
                redis.change_password(user, true);
            }
            "other passwords"
        }
        _ => {
            let address = three.server().base.trim_start_matches("http://").parse().unwrap();
            let open: Vec<_> =
                (0..200).filter_map(|_| TcpStream::connect_timeout(&address, time).ok()).collect();
            pause(time);
            drop(open);
            "200 silent connections to the server"
        }
    };
    totals.count(name);
    format!("{name} for {} ms", time.as_millis())
}

/// A client that met a foreign entry has noted it; who removed the entry removes the note.
pub(crate) fn forget_foreign_entries(redis: &Redis) {
    for stream in Stream::ALL {
        redis.cli(&["HDEL", "evenkeel:{main}:dead", &format!("{stream}:{FOREIGN}")]);
    }
}

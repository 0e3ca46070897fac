//! A twin beside the database, a recorded journal once more, and a journal that is given a past.

use serde_json::Value;

use evenkeel_actors::stores::outbox::OutboxReader;
use evenkeel_core::journal::{Entry, EntryId, Stream};

use crate::support::{World, evenkeel, output, text, wait_until};

/// The x10 load at 100 ticks a second: much happens in little time.
fn world(mode: &str) -> World {
    World::new("fast", &["--seed", "5", "--mode", mode])
}

fn report(base: &str, arguments: &[&str]) -> (Option<i32>, String) {
    let done = evenkeel().args(["report", "--url", base]).args(arguments).output().unwrap();
    let both = [done.stdout, done.stderr].concat();
    (done.status.code(), String::from_utf8_lossy(&both).into_owned())
}

fn entries(world: &World, stream: Stream) -> Vec<Entry> {
    OutboxReader::open(&world.data_dir()).unwrap().after(stream, EntryId::default(), 100_000).unwrap()
}

#[test]
fn in_shadow_the_twin_is_levelled_and_the_database_is_not() {
    let world = world("shadow");
    let running = world.start();
    wait_until("the twin is level", || {
        let told = running.get("/api/v1/shadow");
        told.status == 200 && told.json()["hour"]["twin"]["in_corridor"].as_f64() > Some(0.2)
    });
    let told = running.get("/api/v1/shadow").json();
    assert_eq!(told["twin"], "enforced");
    let (actual, twin) = (&told["hour"]["actual"], &told["hour"]["twin"]);
    assert_eq!(actual["delay_ticks"]["max"], 1, "{actual}");
    assert!(twin["delay_ticks"]["mean"].as_f64().unwrap() > 1.5, "{twin}");
    let queries = told["hour"]["queries"].as_array().unwrap();
    assert!(queries.len() > 50, "{}", queries.len());
    let (code, said) = report(&running.base, &[]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("last hour, under enforce") && said.contains("query, last hour"), "{said}");
    let (_, json) = report(&running.base, &["--json"]);
    assert_eq!(serde_json::from_str::<Value>(&json).unwrap()["twin"], "enforced");
    running.kill();
    world.assert_verified();
}

#[test]
fn in_enforce_nobody_levels_the_twin_and_in_off_there_is_none() {
    let world = world("enforce");
    let running = world.start();
    wait_until("something is compared", || running.get("/api/v1/shadow").status == 200);
    let told = running.get("/api/v1/shadow").json();
    assert_eq!(told["twin"], "unlevelled");
    assert_eq!(told["hour"]["twin"]["delay_ticks"]["max"], 1);
    let (_, said) = report(&running.base, &[]);
    assert!(said.contains("without evenkeel"), "{said}");
    let off = running.request("PUT", "/api/v1/mode", "application/json", r#"{"mode": "off"}"#);
    assert_eq!(off.status, 200);
    wait_until("nothing is compared any more", || running.get("/api/v1/shadow").status == 404);
    let (code, said) = report(&running.base, &[]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("mode is `off`"), "{said}");
    running.kill();
}

#[test]
fn a_new_journal_gets_a_past_once_and_is_as_if_it_had_run_all_the_time() {
    let world = World::new("x10", &["--fast-forward", "30s", "--until-tick", "310"]);
    let (ended, printed) = world.start().wait();
    assert_eq!(ended.code(), Some(0));
    world.assert_verified();
    the_sample_of_the_readme_is_of_this_form(&printed);
    let executions = entries(&world, Stream::Executions);
    let ran_at = |tick: u64| executions.iter().find(|entry| entry.record.tick().0 == tick).unwrap().id.ms;
    assert_eq!(ran_at(299) - ran_at(1), 298 * 100, "a tick of the past is as long as any other");
    // One that began late may be followed sooner.
    assert!((150..60_000).contains(&(ran_at(305) - ran_at(302))), "then they run in their own time");
    // Somebody has planned after each of them: when costs are known, executions wait.
    let delayed = entries(&world, Stream::Executions).into_iter().filter(|entry| match &entry.record {
        evenkeel_core::journal::Record::Executed(executed) => executed.delay_ticks() > 1,
        _ => false,
    });
    assert!(delayed.count() > 300);
    // Another start begins where this one ended.
    let first = entries(&world, Stream::Windows).len();
    let data_dir = world.data_dir();
    let again = ["run", "--listen", "127.0.0.1:0", "--data-dir", text(&data_dir)];
    let again = output(&[&again[..], &["--fast-forward", "60s", "--until-tick", "313"]].concat());
    assert_eq!(again.status.code(), Some(0), "{}", String::from_utf8_lossy(&again.stderr));
    assert!(entries(&world, Stream::Windows).len() <= first + 1);
}

/// What README shows is what is printed, column for column.
fn the_sample_of_the_readme_is_of_this_form(printed: &[String]) {
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    let heading = printed.iter().find(|line| line.contains("corridor")).expect("a heading is printed");
    let sample = readme.split_once(heading.as_str()).expect("README has this heading").1;
    let rows = sample.lines().skip(1).take_while(|line| *line != "```");
    let ends = |line: &str| {
        let words = line.split_whitespace().take(11).collect::<Vec<_>>();
        let mut from = 0;
        let mut ends = Vec::new();
        for word in words {
            from += line[from..].find(word).unwrap() + word.len();
            ends.push(from);
        }
        ends
    };
    // The tick, the share and what follows stand where a printed row has them; a mode is left-aligned.
    let row = printed.iter().rev().find(|line| line.contains(" enforce ")).expect("a row is printed");
    let mut rows = rows.peekable();
    assert!(rows.peek().is_some(), "README shows rows");
    for shown in rows {
        assert_eq!(ends(shown)[..9], ends(row)[..9], "{shown}\n{row}");
    }
}

#[test]
fn without_a_scenario_a_directory_keeps_its_own() {
    let world = World::new("x5", &["--seed", "9", "--until-tick", "20"]);
    assert_eq!(world.start().wait().0.code(), Some(0));
    let data_dir = world.data_dir();
    let again = |arguments: &[&str]| {
        let all = [
            &["run", "--listen", "127.0.0.1:0", "--data-dir", text(&data_dir), "--until-tick", "40"],
            arguments,
        ];
        output(&all.concat())
    };
    let kept = again(&[]);
    let said = String::from_utf8_lossy(&kept.stdout).into_owned();
    assert_eq!(kept.status.code(), Some(0), "{}", String::from_utf8_lossy(&kept.stderr));
    assert!(said.contains("scenario x5, seed 9"), "{said}");
    assert_eq!(again(&["--scenario", "x10"]).status.code(), Some(2), "another one is refused");
    assert_eq!(again(&["--seed", "8"]).status.code(), Some(2), "so is another seed");
}

#[test]
fn a_journal_is_replayed_under_other_policies_and_budgets() {
    let world = World::new("fast", &["--seed", "3", "--mode", "shadow", "--until-tick", "900"]);
    assert_eq!(world.start().wait().0.code(), Some(0));
    let data_dir = world.data_dir();
    let replay = |arguments: &[&str]| {
        let done = output(&[&["replay", "--data-dir", text(&data_dir)], arguments].concat());
        (done.status.code(), String::from_utf8(done.stdout).unwrap(), String::from_utf8(done.stderr).unwrap())
    };
    let (code, lines, note) = replay(&["--policy", "none,evenkeel", "--delay-budget", "4,1s", "--json"]);
    assert_eq!(code, Some(0), "{note}");
    assert!(note.contains("less than 5 minutes"), "{note}");
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 5, "as it was, and two policies at two budgets");
    assert_eq!(
        (&lines[0]["policy"], &lines[1]["policy"], &lines[3]["policy"]),
        (&Value::Null, &"none".into(), &"evenkeel".into())
    );
    assert_eq!(
        (&lines[3]["budget"], &lines[4]["budget"]),
        (&4.0.into(), &100.0.into()),
        "a tick is 10 ms here"
    );
    let mean = |line: &Value| line["delays"]["mean"].as_f64().unwrap();
    // The mode is set once the queue is there: before that, some may have been held.
    assert!(mean(&lines[0]) < 1.2 && (mean(&lines[1]) - 1.0).abs() < 1e-9, "{} {}", lines[0], lines[1]);
    assert!(mean(&lines[3]) > 1.5 && mean(&lines[3]) <= 4.4, "{}", lines[3]);
    // The same arrivals, but for those that wait at the end.
    let executed = |line: &Value| line["executed"].as_u64().unwrap();
    assert!(executed(&lines[0]).abs_diff(executed(&lines[1])) < 40, "{} {}", lines[0], lines[1]);
    let (code, table, _) = replay(&["--last", "3s"]);
    assert_eq!(code, Some(0));
    assert!(table.contains("as it was") && table.contains("evenkeel"), "{table}");
    let (code, _, refused) = replay(&["--policy", "nobody"]);
    assert_eq!(code, Some(2), "{refused}");
}

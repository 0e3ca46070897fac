//! /api/v1 from outside: what it says agrees with itself, with the journal and with the database.

use serde_json::{Value, json};

use crate::support::{Running, World, output, pair::Pair, text, wait_until};

fn started(scenario: &str) -> (World, Running) {
    let world = World::new(scenario, &["--seed", "5"]);
    let running = world.start();
    running.wait_until_ready();
    (world, running)
}

fn get(running: &Running, path: &str) -> Value {
    let answer = running.get(path);
    assert_eq!(answer.status, 200, "{path}: {answer:?}");
    answer.json()
}

/// Asserts 400 for each of `wrong`, and what it says.
fn assert_refused(running: &Running, path: &str, wrong: &[(&str, &str)]) {
    for (query, says) in wrong {
        let answer = running.get(&format!("{path}?{query}"));
        assert_eq!(
            (answer.status, answer.content_type.as_str()),
            (400, "application/problem+json"),
            "{query}"
        );
        assert!(answer.json()["detail"].as_str().unwrap().contains(says), "{query} is told {answer:?}");
    }
}

/// Waits until `seconds` windows have been told about by the client, too.
fn wait_for_windows(running: &Running, windows: u64) -> Value {
    let mut status = Value::Null;
    wait_until("windows have been told about", || {
        status = get(running, "/api/v1/status");
        status["minute"]["windows"].as_u64() >= Some(windows)
            && !status["minute"]["in_corridor_without"].is_null()
    });
    status
}

#[test]
fn the_status_counts_every_execution_once() {
    let (world, running) = started("x10");
    let status = wait_for_windows(&running, 3);
    let capture = &status["capture"];
    let [executed, journalled, in_outbox, under_way] =
        ["executed", "journalled", "in_outbox", "under_way"].map(|field| capture[field].as_u64().unwrap());
    assert_eq!(executed + under_way, journalled + in_outbox, "{capture}");
    assert_eq!(capture["complete"], true);
    assert_eq!((&status["form"], &status["mode"]), (&json!("embedded"), &json!("enforce")));
    // After a kill the count goes on where the journal ends.
    running.kill();
    let running = world.start();
    running.wait_until_ready();
    let again = get(&running, "/api/v1/status");
    assert!(again["capture"]["executed"].as_u64().unwrap() >= executed, "{again}");
    assert_eq!(again["capture"]["complete"], true);
    // Readiness does not wait for what only people ask for: the last minute is read while the first ticks run.
    let mut told = again.clone();
    wait_until("the last minute is told", || {
        told = get(&running, "/api/v1/status");
        told["minute"]["windows"].as_u64() >= Some(3)
    });
    let ticks = told["tick"].as_u64().unwrap() - again["tick"].as_u64().unwrap();
    assert!(ticks < 20, "the windows of before are remembered, and not three new ones told: {told}");
    running.signal("TERM");
    assert!(running.wait().0.success());
    world.assert_verified();
}

#[test]
fn history_is_what_the_journal_says_at_any_step() {
    let (world, running) = started("x10");
    wait_for_windows(&running, 7);
    let history =
        |query: &str| get(&running, &format!("/api/v1/resources/history?{query}"))["points"].clone();
    let fine = history("from_tick=0&to_tick=59");
    let fine = fine.as_array().unwrap();
    assert_eq!(fine.len(), 6);
    let journal = output(&[
        "journal",
        "tail",
        "--data-dir",
        text(&world.data_dir()),
        "--stream",
        "windows",
        "--json",
        "-n",
        "1000",
    ]);
    let entries: Vec<Value> = String::from_utf8(journal.stdout)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    for point in fine {
        let of_it = |entry: &&Value| {
            entry["fields"]["first_tick"].as_str().unwrap().parse().ok() == point["first_tick"].as_u64()
        };
        let entry = entries.iter().find(of_it).unwrap_or_else(|| panic!("{point} is not in the journal"));
        for resource in ["cpu", "io", "memory"] {
            for (name, kind) in [("average", "average"), ("min", "min"), ("max", "max")] {
                let recorded: f64 = entry["fields"][format!("{resource}_{name}")]
                    .to_string()
                    .trim_matches('"')
                    .parse()
                    .unwrap();
                let told = point["measured"][resource][kind].as_f64().unwrap();
                assert!((recorded - told).abs() < 1e-9, "{point} against {entry}");
            }
        }
    }
    // Coarser steps keep the peaks.
    let coarse = history("from_tick=0&to_tick=59&step_windows=3");
    let coarse = coarse.as_array().unwrap();
    assert_eq!(coarse.len(), 2);
    for (at, step) in coarse.iter().enumerate() {
        let of_it = &fine[at * 3..at * 3 + 3];
        let max =
            of_it.iter().map(|point| point["measured"]["cpu"]["max"].as_f64().unwrap()).fold(0.0, f64::max);
        assert!((step["measured"]["cpu"]["max"].as_f64().unwrap() - max).abs() < 1e-9);
        assert_eq!(step["windows"], 3);
        let inside = step["windows_in_corridor"].as_f64().unwrap();
        assert!((step["in_corridor"].as_f64().unwrap() - inside / 3.0).abs() < 1e-9, "{step}");
    }
    assert_refused(
        &running,
        "/api/v1/resources/history",
        &[
            ("step_windows=0", "`step_windows` is `0`: expected an integer of 1..=21600"),
            ("from=0", "`from` is not known here: expected from_tick, to_tick, step_windows"),
            ("from_tick=20&to_tick=10", "there is nothing: expected a `to_tick` of 20 or later"),
        ],
    );
}

#[test]
fn executions_page_through_everything_once_in_both_directions() {
    let (world, running) = started("x10");
    wait_until("400 have run", || {
        get(&running, "/api/v1/status")["capture"]["executed"].as_u64() > Some(400)
    });
    let newest = get(&running, "/api/v1/executions?limit=1");
    let last = newest["executions"][0]["id"].as_str().unwrap().to_owned();
    let walk = |first: String, direction: &str| {
        let (mut path, mut seqs) = (first, Vec::new());
        loop {
            let page = get(&running, &path);
            seqs.extend(
                page["executions"].as_array().unwrap().iter().map(|one| one["seq"].as_u64().unwrap()),
            );
            let Some(next) = page["next"].as_str() else { return seqs };
            path = format!("/api/v1/executions?limit=37&{direction}={next}");
        }
    };
    let backwards = walk(format!("/api/v1/executions?limit=37&before={last}"), "before");
    assert_eq!(backwards.last(), Some(&1));
    assert!(backwards.windows(2).all(|pair| pair[0] == pair[1] + 1), "{backwards:?}");
    let page = get(&running, &format!("/api/v1/executions?after=0-0&before={last}&limit=1000"));
    let forwards: Vec<u64> =
        page["executions"].as_array().unwrap().iter().map(|one| one["seq"].as_u64().unwrap()).collect();
    assert!(forwards.iter().copied().eq(1..=forwards.len() as u64), "{forwards:?}");
    let query = newest["executions"][0]["query"].as_str().unwrap();
    let only = get(&running, &format!("/api/v1/executions?query={query}"));
    assert!(only["executions"].as_array().unwrap().iter().all(|one| one["query"] == query));
    assert_refused(
        &running,
        "/api/v1/executions",
        &[
            ("before=x", "`before` is `x`: expected an entry id, like 1800000000000-0"),
            ("after=1", "`after` is `1`: expected an entry id"),
            ("limit=0", "`limit` is `0`: expected an integer of 1..=1000"),
            ("limit=1001", "`limit` is `1001`"),
            ("limit=1&limit=2", "`limit` is given twice"),
            ("query=x", "`query` is `x`: expected a uuid"),
            ("after=7-0&before=7-0", "there is nothing: expected a later `before`"),
        ],
    );
    drop(world);
}

#[test]
fn an_execution_is_explained_while_it_waits_and_after_it_ran() {
    let (_world, running) = started("x10");
    wait_for_windows(&running, 2);
    let mut waiting = String::new();
    wait_until("something is held", || {
        let queued = get(&running, "/api/v1/queued");
        let held = queued["executions"]
            .as_array()
            .unwrap()
            .iter()
            .find(|one| one["held_ticks"].as_u64() > Some(1))
            .cloned();
        held.is_some_and(|held| {
            waiting = held["execution"].as_str().unwrap().to_owned();
            true
        })
    });
    let path = format!("/api/v1/decisions/{waiting}");
    let mut explained = get(&running, &path);
    wait_until("it has run", || {
        explained = get(&running, &path);
        explained["state"] == "executed"
    });
    let number = |field: &str| explained[field].as_u64().unwrap();
    assert_eq!(number("delay_ticks"), number("tick") - number("queued_tick"));
    assert_eq!(number("held_ticks"), number("tick") - number("due_tick"));
    let sentence = explained["sentence"].as_str().unwrap();
    for number in [number("tick"), number("queued_tick"), number("due_tick"), number("held_ticks")] {
        assert!(sentence.contains(&number.to_string()), "{sentence}");
    }
    assert!(sentence.contains(explained["reason"].as_str().unwrap()), "{sentence}");
    // The same from the command line.
    let said = output(&["explain", "--server", &running.base, &waiting]);
    assert_eq!(String::from_utf8_lossy(&said.stdout).trim(), sentence);
    let unknown = running.get("/api/v1/decisions/01890000-0000-7000-8000-000000000000");
    assert_eq!(unknown.status, 404, "{unknown:?}");
    let no_id = running.get("/api/v1/decisions/x");
    assert_eq!(no_id.status, 400);
    assert!(no_id.body.contains("`execution` is `x`: expected a uuid"), "{no_id:?}");
}

#[test]
fn the_mode_is_set_over_http_and_from_the_command_line_and_survives() {
    let (world, running) = started("busy");
    let set = |body: &str| running.request("PUT", "/api/v1/mode", "application/json", body);
    assert_eq!(set(r#"{"mode":"off"}"#).json(), json!({"mode": "off"}));
    assert_eq!(get(&running, "/api/v1/mode"), json!({"mode": "off"}));
    for wrong in ["", "{}", r#"{"mode":"on"}"#, r#"{"mode":"off","x":1}"#] {
        let answer = set(wrong);
        assert_eq!(answer.status, 400, "{answer:?}");
        assert!(answer.body.contains("enforce"), "it says what would be right: {answer:?}");
    }
    let mode = |arguments: &[&str]| output(&[&["mode", "--server", &running.base], arguments].concat());
    assert_eq!(mode(&["set", "shadow"]).stdout, b"shadow\n");
    assert_eq!(mode(&["get", "--json"]).stdout, b"{\"mode\":\"shadow\"}\n");
    assert_eq!(mode(&["set", "on"]).status.code(), Some(2));
    running.kill();
    let running = world.start();
    running.wait_until_ready();
    assert_eq!(get(&running, "/api/v1/mode"), json!({"mode": "shadow"}));
    assert_eq!(output(&["mode", "--server", "http://127.0.0.1:1", "get"]).status.code(), Some(4));
}

#[test]
fn queries_are_told_with_what_they_cost_and_what_they_took() {
    let (_world, running) = started("x10");
    wait_for_windows(&running, 12);
    let queries = get(&running, "/api/v1/queries");
    let all = queries["queries"].as_array().unwrap();
    let shares: f64 = all.iter().filter_map(|query| query["load_share"].as_f64()).sum();
    assert!((shares - 1.0).abs() < 1e-9, "{shares}");
    let executed: u64 = all.iter().map(|query| query["executed"].as_u64().unwrap()).sum();
    let total = get(&running, "/api/v1/status")["capture"]["executed"].as_u64().unwrap();
    assert!(executed <= total && executed + 500 > total, "{executed} of {total}");
    let busiest = all.iter().max_by_key(|query| query["executed"].as_u64()).unwrap();
    assert!(busiest["observations"].as_u64().unwrap() > 0 && busiest["cost"]["cpu"].as_f64().unwrap() > 0.0);
    let one = get(&running, &format!("/api/v1/queries/{}", busiest["query"].as_str().unwrap()));
    assert_eq!(one["query"], busiest["query"]);
    assert_eq!(running.get("/api/v1/queries/01890000-0000-7000-8000-000000000000").status, 404);
    // Page by page it is the same.
    let (mut path, mut paged) = ("/api/v1/queries?limit=7".to_owned(), Vec::new());
    loop {
        let page = get(&running, &path);
        let found = page["queries"].as_array().unwrap();
        assert!(found.len() <= 7 && page["total"].as_u64().unwrap() >= all.len() as u64, "{page}");
        paged.extend(found.iter().map(|query| query["query"].as_str().unwrap().to_owned()));
        let Some(next) = page["next"].as_str() else { break };
        path = format!("/api/v1/queries?limit=7&after={next}");
    }
    assert!(paged.is_sorted_by(|a, b| a < b), "{paged:?}");
    assert!(all.iter().all(|query| paged.iter().any(|id| query["query"] == **id)), "{paged:?}");
    assert_refused(
        &running,
        "/api/v1/queries",
        &[
            ("limit=0", "`limit` is `0`: expected an integer of 1..=10000"),
            ("after=x", "`after` is `x`: expected a uuid"),
        ],
    );
    for path in ["status", "resources", "actors", "journal", "mode"] {
        let path = format!("/api/v1/{path}");
        assert_refused(&running, &path, &[("x=1", "`x` is not known here: expected none")]);
    }
    let actors = get(&running, "/api/v1/actors");
    assert!(actors["actors"].as_array().unwrap().iter().all(|actor| actor["state"] == "running"), "{actors}");
}

#[test]
fn a_server_tells_what_its_client_told_and_how_old_that_is() {
    let pair = Pair::new(World::new("x10", &["--seed", "6"]));
    let server = pair.start_server();
    let client = pair.start_client();
    let told = |field: &str| get(&server, "/api/v1/status")["client"][field].clone();
    wait_until("the client levels and says so", || {
        told("role") == "levelling" && told("decided_tick").is_u64()
    });
    wait_until("what would have been is told", || {
        let points = get(&server, "/api/v1/resources/history")["points"].clone();
        points
            .as_array()
            .unwrap()
            .iter()
            .any(|point| point["without"].is_object() && point["predicted"].is_object())
    });
    wait_until("learned costs are told", || {
        let queries = get(&server, "/api/v1/queries");
        queries["age_ms"].is_u64()
            && queries["queries"].as_array().unwrap().iter().any(|query| query["cost"].is_object())
    });
    let journal = get(&server, "/api/v1/journal");
    assert_eq!(journal["redis"]["connected"], true, "{journal}");
    let executions = &journal["streams"][0];
    assert_eq!(executions["groups"][0]["name"], "scheduler", "{journal}");
    assert!(executions["redis_length"].as_u64().unwrap() > 0);
    let commands = journal["commands"].to_string();
    assert!(commands.contains("XREVRANGE") && !commands.contains("only-for-these-tests"), "{commands}");
    let status = get(&server, "/api/v1/status");
    assert_eq!((&status["form"], &status["capture"]["complete"]), (&json!("server"), &json!(true)));
    // Without it the server goes on, and what it says of the client grows old.
    client.kill();
    wait_until("that is seen", || told("age_ms").as_u64() > Some(3_000));
    assert_eq!(server.get("/readyz").status, 200);
}

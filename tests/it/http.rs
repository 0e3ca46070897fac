//! The wire endpoints and control, from outside: what existing servers and clients speak, and what they
//! are told when they do not.

use serde_json::{Value, json};

use crate::support::{self, Answer, Running, World, pair::Pair, wait_until};

/// A world in which nobody levels and much waits, so that a test can take its time.
fn running(mode: &str) -> (World, Running) {
    let world = World::new("x10", &["--mode", mode, "--seed", "3"]);
    let running = world.start();
    running.wait_until_ready();
    (world, running)
}

fn assert_problem(answer: &Answer, status: u16, says: &str) {
    assert_eq!(answer.status, status, "{answer:?}");
    assert_eq!(answer.content_type, "application/problem+json", "{answer:?}");
    let problem = answer.json();
    assert_eq!(problem["status"], status);
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains(says), "`{detail}` does not say `{says}`");
}

fn queued(running: &Running) -> Vec<Value> {
    let mut items = Vec::new();
    wait_until("something is queued", || {
        let answer = running.get("/queued");
        if answer.status == 200 {
            items.clone_from(answer.json().as_array().unwrap());
        }
        !items.is_empty()
    });
    items
}

fn id(item: &Value) -> String {
    item["execution"]["id"].as_str().unwrap().to_owned()
}

fn control(epoch: u64, set: &Value) -> String {
    json!({"client": "a test", "epoch": epoch, "lease_ticks": 50, "set": set}).to_string()
}

#[test]
fn queued_has_the_shape_that_existing_clients_read() {
    let (_world, running) = running("off");
    for item in queued(&running) {
        let keys: Vec<_> = item.as_object().unwrap().keys().cloned().collect();
        assert_eq!(keys, ["execution", "query"]);
        assert_eq!(item["query"].as_object().unwrap().keys().collect::<Vec<_>>(), ["id"]);
        assert_eq!(item["execution"].as_object().unwrap().keys().collect::<Vec<_>>(), ["id", "timestamp"]);
        assert!(item["execution"]["timestamp"].as_u64().unwrap() > 1_700_000_000_000);
    }
}

#[test]
fn an_empty_queue_is_204_without_a_body() {
    let world = World::with_parameters("rate = 0.0\n", &[]);
    let running = world.start();
    running.wait_until_ready();
    let answer = running.get("/queued");
    assert_eq!((answer.status, answer.body.as_str()), (204, ""));
}

#[test]
fn resources_are_zeros_before_the_first_window_and_integers_after_it() {
    let (_world, running) = running("off");
    let shape = |answer: &Answer| {
        assert_eq!(answer.status, 200);
        let resources = answer.json();
        for resource in ["cpu", "io", "memory"] {
            let extent = resources[resource].as_object().unwrap();
            assert_eq!(extent.keys().collect::<Vec<_>>(), ["average", "max", "min"]);
            assert!(extent.values().all(Value::is_u64), "{resources}");
        }
        assert!(resources["timestamp"].is_u64());
        resources["cpu"]["average"].as_u64().unwrap()
    };
    shape(&running.get("/resources"));
    wait_until("a window has closed", || shape(&running.get("/resources")) > 0);
}

#[test]
fn a_delay_is_added_is_durable_and_stands_in_the_journal() {
    let (world, running) = running("off");
    let item = queued(&running).pop().unwrap();
    // The content type is whatever the client says, and unknown fields are nothing.
    let body = json!({"id": id(&item), "delay": 500, "more": [1]}).to_string();
    let answer = running.request("POST", "/delay", "text/plain", &body);
    assert_eq!((answer.status, answer.body.as_str()), (200, ""));
    let later = queued(&running).into_iter().find(|later| id(later) == id(&item)).unwrap();
    let (before, after) = (&item["execution"]["timestamp"], &later["execution"]["timestamp"]);
    assert!(after.as_u64().unwrap() >= before.as_u64().unwrap() + 49_000, "{before} {after}");
    running.kill();
    let running = world.start();
    running.wait_until_ready();
    let kept = queued(&running).into_iter().find(|kept| id(kept) == id(&item));
    assert!(kept.is_some(), "a delay that was answered survives kill -9");
}

#[test]
fn a_delay_that_cannot_be_says_why() {
    let (_world, running) = running("off");
    let unknown = "01890000-0000-7000-8000-000000000000";
    let delay = |body: &str| running.post("/delay", body);
    assert_problem(&delay(&json!({"id": unknown, "delay": 1}).to_string()), 404, "is not queued");
    for ticks in ["0", "864001"] {
        assert_problem(
            &delay(&format!(r#"{{"id":"{unknown}","delay":{ticks}}}"#)),
            400,
            "expected an integer of 1..=864000",
        );
    }
    for (nonsense, says) in [
        ("", "the body is empty: expected {id, delay}"),
        ("{", "no JSON from line 1, column 1"),
        ("[]", "expected an object {id, delay}"),
        (r#"{"id":1}"#, "`id` is `1`: expected a uuid"),
        (r#"{"id":"x","delay":1}"#, "expected a uuid"),
        (r#"{"delay":1}"#, "`id` is missing"),
    ] {
        assert_problem(&delay(nonsense), 400, says);
    }
    assert_problem(
        &delay(&format!(r#"{{"id":"{unknown}","delay":1.5}}"#)),
        400,
        "`delay` is `1.5`: expected an integer of 1..=864000",
    );
    assert_problem(&delay(&" ".repeat(20_000)), 413, "larger than");
    let answer = running.get("/delay");
    assert_problem(&answer, 405, "use POST");
    assert_eq!(answer.allow, "POST");
    assert_problem(&running.get("/nothing"), 404, "nothing here");
    let answer = running.post("/queued", "");
    assert_problem(&answer, 405, "use GET");
    assert_eq!(answer.allow, "GET, HEAD");
}

#[test]
fn control_places_slots_holds_the_rest_and_fences() {
    // A server whose client is elsewhere, and does not run: nobody else asks for the lease.
    let pair = Pair::new(World::with_parameters("rate = 5.0\n", &["--mode", "enforce"]));
    let running = pair.start_server();
    running.wait_until_ready();
    let answer = running.post("/api/v1/control", &control(1_000, &json!([])));
    assert_eq!(answer.status, 200, "{answer:?}");
    let lease = answer.json();
    assert_eq!(lease["mode"], "enforce");
    assert_eq!(lease["lease_until"].as_u64().unwrap(), lease["tick"].as_u64().unwrap() + 50);
    let mut chosen = String::new();
    wait_until("something waits", || {
        chosen = id(queued(&running).last().unwrap());
        true
    });
    let tick = lease["tick"].as_u64().unwrap();
    let set = json!([{"execution": chosen, "due_tick": tick + 40, "reason": "a test"}]);
    let first = running.post("/api/v1/control", &control(1_000, &set)).json();
    let again = running.post("/api/v1/control", &control(1_000, &set)).json();
    assert_eq!(first["results"], again["results"], "the same request twice changes nothing");
    if first["results"][0]["result"] == "set" {
        assert_eq!(first["results"][0]["due_tick"], tick + 40);
    }
    assert_problem(&running.post("/api/v1/control", &control(999, &json!([]))), 409, "epoch 999");
    let long = json!({"client": "a test", "epoch": 1_000, "lease_ticks": 51}).to_string();
    assert_problem(&running.post("/api/v1/control", &long), 400, "1..=50");
    let typo = json!({"client": "a test", "epoch": 1_000, "slots": []}).to_string();
    assert_problem(&running.post("/api/v1/control", &typo), 400, "`slots` is not known here");
    let far = json!([{"execution": chosen, "due_tick": u64::MAX}]);
    let far = running.post("/api/v1/control", &control(1_000, &far));
    assert_problem(&far, 400, "`set[0].due_tick` is `18446744073709551615`");
    assert_problem(&running.get("/api/v1/control"), 405, "use POST");
}

#[test]
fn a_handover_leaves_slots_without_a_lease_and_anybody_may_take_that() {
    // As above: nobody but this test asks for the lease.
    let pair = Pair::new(World::with_parameters("rate = 5.0\n", &["--mode", "enforce"]));
    let running = pair.start_server();
    running.wait_until_ready();
    running.post("/api/v1/control", &control(1_000, &json!([])));
    let chosen = id(queued(&running).last().unwrap());
    let far =
        running.post("/api/v1/control", &control(1_000, &json!([]))).json()["tick"].as_u64().unwrap() + 600;
    let handover = |handover: Value| {
        let set = json!([{"execution": chosen, "due_tick": far, "reason": "left by the test"}]);
        json!({"client": "a test", "epoch": 1_000, "set": set, "handover": handover}).to_string()
    };
    let first = running.post("/api/v1/control", &handover(json!(true)));
    assert_eq!(first.status, 200, "{first:?}");
    let first = first.json();
    assert_eq!(first["lease_until"], first["tick"], "the lease is over");
    let lease = || running.get("/readyz").json()["lease"].clone();
    wait_until("everybody sees that", || lease()["lives"] == false);
    let again = running.post("/api/v1/control", &handover(json!(true))).json();
    assert_eq!(first["results"], again["results"], "the same request twice changes nothing");
    assert_eq!(again["results"][0]["due_tick"], far);
    for wrong in [json!(1), json!("true"), Value::Null] {
        assert_problem(&running.post("/api/v1/control", &handover(wrong)), 400, "expected true or false");
    }
    // What was left is what was asked for, and whoever comes next replaces it.
    let planned = || queued(&running).into_iter().find(|item| id(item) == chosen);
    let held = planned().expect("it waits for its slot, a minute from now");
    let standby = json!({"client": "standby", "epoch": 1_001,
        "set": [{"execution": chosen, "due_tick": 0}]});
    let taken = running.post("/api/v1/control", &standby.to_string());
    assert_eq!(taken.status, 200, "{taken:?} {held}");
    wait_until("everybody sees that, too", || lease()["client"] == "standby");
    wait_until("it runs as the next plan says", || planned().is_none());
    assert!(taken.json()["tick"].as_u64() < Some(far));
}

/// 2^53 once, or 6 in one process, and nobody but a stranger levelled any more.
#[test]
fn a_stranger_cannot_keep_the_client_of_the_process_from_levelling() {
    let (_world, running) = running("enforce");
    let far = running.post("/api/v1/control", &control(9_007_199_254_740_992, &json!([])));
    assert_problem(&far, 400, "too far above");
    let holder = || running.get("/readyz").json()["lease"].clone();
    wait_until("its own client levels", || holder()["client"] == "embedded");
    let above = holder()["epoch"].as_u64().unwrap() + 500_000;
    let answer = running.post("/api/v1/control", &control(above, &json!([])));
    assert_eq!(answer.status, 200, "{answer:?}");
    wait_until("its own client levels again", || {
        let lease = holder();
        lease["client"] == "embedded" && lease["epoch"].as_u64() > Some(above) && lease["lives"] == true
    });
    let metrics = running.get("/metrics").body;
    assert!(metrics.contains("evenkeel_lease_held 1"), "{metrics}");
    let status = running.get("/api/v1/status").json();
    assert_eq!(status["lease"]["client"], "embedded", "{status}");
}

#[test]
fn health_and_readiness_answer() {
    let (_world, running) = running("enforce");
    assert_eq!(running.get("/healthz").status, 200);
    let ready = running.get("/readyz").json();
    assert_eq!(ready["status"], "ready");
    let url = format!("{}/healthz", running.base);
    assert_eq!(support::output(&["healthcheck", "--url", &url]).status.code(), Some(0));
    running.kill();
    assert_eq!(support::output(&["healthcheck", "--url", &url]).status.code(), Some(4));
}

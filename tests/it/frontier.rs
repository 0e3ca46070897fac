//! What each delay budget would bring for the recorded load, asked of a running server.

use serde_json::Value;

use crate::support::{Running, World, wait_until};

fn frontier(running: &Running) -> Value {
    let answer = running.get("/api/v1/frontier");
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.json()
}

/// Enough is recorded within seconds.
fn with_a_past(seed: &str) -> World {
    World::new("x10", &["--seed", seed, "--fast-forward", "80s"])
}

#[test]
fn the_recorded_load_is_run_under_one_budget_after_the_other_once() {
    let world = with_a_past("5");
    let running = world.start();
    running.wait_until_ready();
    let young = frontier(&running);
    assert_eq!((&young["state"], &young["frontier"]), (&"waiting".into(), &Value::Null), "{young}");
    assert!(young["note"].is_string() && young["progress"].is_null(), "{young}");
    wait_until("it is being made", || frontier(&running)["state"] == "computing");
    let under_way = frontier(&running);
    assert!(under_way["progress"].as_f64().is_none_or(|done| (0.0..1.0).contains(&done)), "{under_way}");
    // A machine with much else to do takes its time for each part.
    for part in [0.2, 0.5, 0.8, 1.0] {
        wait_until("a part of it is made", || {
            let known = frontier(&running);
            known["state"] == "ready" || known["progress"].as_f64() >= Some(part)
        });
    }
    let made = frontier(&running)["frontier"].clone();
    let number = |of: &Value, field: &str| of[field].as_f64().unwrap();
    assert!(made["counted_from_tick"].as_u64() > made["first_tick"].as_u64(), "{made}");
    let length = number(&made, "last_tick") - number(&made, "first_tick");
    assert!((580.0..6_000.0).contains(&length), "{made}");
    assert_eq!((&made["tick_ms"], &made["complete"]), (&100.into(), &true.into()), "{made}");
    let rows = made["rows"].as_array().unwrap();
    let of = |policy: &str| rows.iter().filter(|row| row["policy"] == policy).cloned().collect::<Vec<_>>();
    let [none, own, simple] = ["none", "evenkeel", "least-loaded"].map(of);
    assert_eq!(
        (none.len(), &none[0]["budget_ticks"], number(&none[0], "mean_delay_ticks")),
        (1, &Value::Null, 1.0)
    );
    assert!(own.len() > 2 && simple.len() > 2, "{made}");
    for row in own.iter().chain(&simple) {
        assert!((number(row, "budget_s") * 10.0 - number(row, "budget_ticks")).abs() < 1e-9, "{row}");
        assert!((number(row, "mean_delay_s") * 10.0 - number(row, "mean_delay_ticks")).abs() < 1e-9, "{row}");
        // Evenkeel keeps to its budget; the other rule looks ahead by its budget twice, less a tick.
        let most = if row["policy"] == "evenkeel" { 1.2 } else { 2.0 };
        assert!(number(row, "mean_delay_ticks") < most * number(row, "budget_ticks"), "{row}");
        assert!(row["p99_delay_ticks"].as_f64() >= Some(number(row, "mean_delay_ticks").floor()), "{row}");
    }
    let best = own.iter().map(|row| number(row, "share")).fold(0.0, f64::max);
    assert!(best > number(&none[0], "share") + 0.3, "{made}");
    // The next one is made in ten minutes at the earliest.
    let again = frontier(&running);
    assert_eq!((&again["state"], &again["frontier"]["rows"]), (&"ready".into(), &made["rows"]));
    assert!(again["frontier"]["age_ms"].as_u64() >= made["age_ms"].as_u64());
    running.ends_well(&world);
}

#[test]
fn an_end_does_not_wait_for_it() {
    let world = with_a_past("6");
    let running = world.start();
    running.wait_until_ready();
    wait_until("it is being made", || frontier(&running)["state"] == "computing");
    running.ends_well(&world);
}

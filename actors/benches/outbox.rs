//! How long a commit takes: one tick of 2 and of 75 executions, and what groups of 100 give.
//!
//! `cargo bench -p evenkeel-actors --bench outbox [directory]`: the directory decides which disk is measured.

#[path = "support/decider.rs"]
mod decider;

use std::{env, path::PathBuf, time::Instant};

use decider::{Decider, NOW_MS};
use evenkeel_actors::stores::outbox::{Identity, Limits, Outbox};
use uuid::Uuid;

fn main() {
    let directory = env::args().skip(1).find(|argument| !argument.starts_with("--"));
    let directory = directory.map_or_else(env::temp_dir, PathBuf::from);
    for (arrivals, group, commits) in [(2, 1, 2_000), (75, 1, 2_000), (2, 100, 20_000), (75, 100, 5_000)] {
        measure(&directory, arrivals, group, commits);
    }
}

fn measure(directory: &std::path::Path, arrivals: u64, group: usize, commits: usize) {
    let dir = tempfile::tempdir_in(directory).expect("the directory can be written");
    let identity = Identity { label: "bench".to_owned(), text: String::new(), ..Identity::default() };
    let (mut outbox, _) =
        Outbox::open(dir.path(), &identity, Uuid::nil(), NOW_MS, Limits::default()).expect("opens");
    let (mut decider, first) = Decider::new(arrivals);
    outbox.commit(vec![first]).remove(0).expect("commits");

    let mut latencies_us = Vec::new();
    let mut records = 0;
    for _ in 0..commits / group {
        let batch: Vec<_> = (0..group).map(|_| decider.tick()).collect();
        records += batch.iter().map(|commit| commit.records.len()).sum::<usize>();
        let begun = now();
        for answer in outbox.commit(batch) {
            answer.expect("commits");
        }
        latencies_us.push(begun.elapsed().as_micros());
    }
    let seconds = latencies_us.iter().sum::<u128>() as f64 / 1e6;
    latencies_us.sort_unstable();
    let ms = |percent: usize| latencies_us[(latencies_us.len() - 1) * percent / 100] as f64 / 1e3;
    print(&format!(
        "{arrivals:>3} executions a tick, {group:>3} ticks a transaction: p50 {:.2} ms, p99 {:.2} ms, max {:.2} ms; {:.0} records/s",
        ms(50),
        ms(99),
        ms(100),
        records as f64 / seconds,
    ));
}

#[expect(clippy::disallowed_methods, reason = "a measurement of real time")]
fn now() -> Instant {
    Instant::now()
}

#[expect(clippy::disallowed_macros, reason = "a bench's stdout is its report")]
fn print(line: &str) {
    println!("{line}");
}

//! No effect without a record.

use std::{collections::BTreeSet, thread, time::Duration};

use super::{
    raw::{Raw, sqlstate},
    *,
};
use crate::support::pause;

/// Values of `tag`, with their outcome, of everything that the journal recorded as ended; an entry may be there once.
fn outcomes(before: &Before) -> Vec<(String, String)> {
    let entries = before.entries();
    let ended = entries.iter().filter(|entry| entry["stream"] == "executions");
    let of = |entry: &Value| {
        let fields = &entry["fields"];
        Some((fields["tag"].as_str()?.to_owned(), fields["outcome"].as_str()?.to_owned()))
    };
    ended.filter_map(of).collect()
}

#[test]
fn p15_after_kills_amid_inserts_each_row_has_a_record_and_no_id_has_two() {
    let postgres = Postgres::start();
    postgres.psql("create table truth (id text primary key)");
    let mut before = Before::shadow(&postgres);
    for life in 0..6 {
        let address = before.address();
        let writers: Vec<_> = (0..3)
            .map(|writer| {
                thread::spawn(move || {
                    let mut raw = Raw::connect(address, "writes");
                    for number in 0.. {
                        let id = format!("{life}-{writer}-{number}");
                        let insert = format!("insert into truth values ('{id}') /*truth='{id}'*/");
                        raw.try_ask(&insert)?;
                        if raw.until_ready().last().unwrap().0 != 'Z' {
                            return None;
                        }
                    }
                    Some(())
                })
            })
            .collect();
        pause(Duration::from_millis(150 + 37 * life));
        before.kill();
        for writer in writers {
            let _ = writer.join().unwrap();
        }
        before.start();
        before.running().wait_until_ready();
    }
    let in_flight = || before.get("/api/v1/running").to_string().contains("\"tag\"");
    wait_until("all are resolved", || !in_flight());
    let rows = postgres.psql("select id from truth");
    let rows: BTreeSet<_> = rows.lines().map(str::to_owned).collect();
    assert!(rows.len() > 50, "{}", rows.len());
    wait_until("each row has its record", || {
        let recorded: BTreeSet<_> = outcomes(&before).into_iter().map(|(id, _)| id).collect();
        rows.is_subset(&recorded)
    });
    let recorded = outcomes(&before);
    let distinct: BTreeSet<_> = recorded.iter().map(|(id, _)| id).collect();
    assert_eq!(recorded.len(), distinct.len(), "no id has two records");
    for (id, outcome) in &recorded {
        assert!(outcome != "ok" || rows.contains(id), "{id} is ok and has no row");
        assert!(outcome != "failed" || !rows.contains(id), "{id} has failed and has a row");
    }
    let verified = output(&[
        "journal",
        "verify",
        "--data-dir",
        text(&before.data_dir()),
        "--postgres",
        &postgres.url("postgres", "postgres"),
        "--truth-table",
        "truth",
    ]);
    assert_eq!(verified.status.code(), Some(0), "{}", String::from_utf8_lossy(&verified.stdout));
    before.ends_well();
}

#[test]
fn p18_when_the_journal_cannot_be_written_nothing_passes_unrecorded() {
    let postgres = &Postgres::start();
    postgres.psql("create table p18 (n int)");
    // The shell's limit of file sizes stands for a full disk: writes beyond it fail.
    let before = Before::shadow(postgres);
    let mut raw = Raw::connect(before.address(), "a");
    assert_eq!(sqlstate(&raw.query("insert into p18 values (1)")), "");
    let pid = before.running().pid().to_string();
    let limited = Command::new("prlimit").args(["--pid", &pid, "--fsize=4096:"]).status().unwrap();
    assert!(limited.success());
    let refused = raw.query("insert into p18 values (2)");
    assert_eq!(sqlstate(&refused), "53100", "{refused:?}");
    assert_eq!(postgres.psql("select count(*) from p18"), "1");
    let freed = Command::new("prlimit").args(["--pid", &pid, "--fsize=unlimited:"]).status().unwrap();
    assert!(freed.success());
    wait_until("it goes on", || {
        sqlstate(&Raw::connect(before.address(), "b").query("insert into p18 values (3)")).is_empty()
    });
    before.ends_well();
}

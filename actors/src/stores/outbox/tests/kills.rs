//! Kill -9 at random instants, and a disk that is full for a while. The child is this test binary again.

use std::{
    env,
    fs::{self, OpenOptions},
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Child, Command, Stdio},
    thread,
};

use evenkeel_core::{
    invariants::TruthRow,
    journal::{Executed, Mode, Record},
};

use super::{
    super::*,
    support::{Decider, open, pause, try_open},
};

const DIR: &str = "OUTBOX_TEST_DIR";
const MUTANT: &str = "OUTBOX_TEST_EFFECT_FIRST";

/// A server that commits and runs, tick by tick, until it is killed. Nothing when run as a test.
#[test]
fn child() {
    let Some(dir) = env::var_os(DIR) else { return };
    let dir = Path::new(&dir);
    let (mut outbox, mut recovered) = open(dir);
    let mut out = std::io::stdout();
    let mut database = OpenOptions::new().append(true).create(true).open(dir.join("truth")).unwrap();
    let ran_before = fs::read_to_string(dir.join("truth")).unwrap();
    let new: Vec<_> =
        recovered.last_batch.iter().filter(|row| !ran_before.contains(&row.execution.to_string())).collect();
    effect(&mut database, &new);
    let effect_first = env::var_os(MUTANT).is_some();
    loop {
        let mut decider = Decider::new(&recovered);
        let error = loop {
            let tick = decider.tick(1 + recovered.revision % 4);
            let executed: Vec<Executed> = tick.records.iter().filter_map(executed).collect();
            let batch: Vec<_> = executed.iter().collect();
            if effect_first {
                effect(&mut database, &batch);
            }
            let revision = tick.revision;
            let group = vec![
                tick,
                decider.set_mode(if revision.is_multiple_of(2) { Mode::Off } else { Mode::Shadow }),
            ];
            match outbox.commit(group).into_iter().collect::<Result<Vec<_>, _>>() {
                Ok(committed) => {
                    if !effect_first {
                        effect(&mut database, &batch);
                    }
                    writeln!(out, "\ncommitted {}", committed[1].revision).unwrap();
                }
                Err(error) => break error,
            }
        };
        writeln!(out, "\nrefused: {error}").unwrap();
        recovered = outbox.recover().unwrap();
    }
}

fn executed(record: &Record) -> Option<Executed> {
    match record {
        Record::Executed(executed) => Some(executed.clone()),
        _ => None,
    }
}

/// A test of this module, by the name that the test binary knows.
fn this_module(test: &str) -> String {
    let (_this_crate, module) = module_path!().split_once("::").unwrap();
    format!("{module}::{test}")
}

/// What the database does: one write, so that a kill leaves whole lines.
fn effect(database: &mut fs::File, batch: &[&Executed]) {
    let lines = batch.iter().map(|executed| {
        let row = TruthRow { execution: executed.execution, tick: executed.tick, query: executed.query };
        format!("{row}\n")
    });
    database.write_all(lines.collect::<String>().as_bytes()).unwrap();
}

fn spawn(command: &mut Command, dir: &Path) -> Child {
    command
        .args(["--exact", &this_module("child"), "--nocapture"])
        .env(DIR, dir)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

fn myself() -> Command {
    Command::new(env::current_exe().unwrap())
}

/// The last revision that the child was told is durable.
fn acknowledged(lines: impl Iterator<Item = String>) -> Option<u64> {
    lines.filter_map(|line| line.strip_prefix("committed ")?.parse().ok()).last()
}

fn truth(dir: &Path) -> Vec<TruthRow> {
    let text = fs::read_to_string(dir.join("truth")).unwrap_or_default();
    text.lines().map(|line| line.parse().unwrap()).collect()
}

/// Kills a child after `ms` of work and verifies what it left: findings, as text.
fn kill_and_verify(dir: &Path, ms: u64, mutant: bool) -> Vec<String> {
    let mut command = myself();
    if mutant {
        command.env(MUTANT, "1");
    }
    let mut child = spawn(&mut command, dir);
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let mut last = lines.by_ref().find_map(|line| line.strip_prefix("committed ")?.parse::<u64>().ok());
    let reading = thread::spawn(move || acknowledged(lines));
    pause(ms);
    child.kill().unwrap();
    child.wait().unwrap();
    last = reading.join().unwrap().or(last);

    let reader = OutboxReader::open(dir).unwrap();
    let verified = verify::verify(&reader, Some(truth(dir)), |_, _| {}).unwrap();
    let mut findings: Vec<_> = verified.report.findings.first().iter().map(ToString::to_string).collect();
    findings.extend(verified.damage.map(|damage| damage.to_string()));
    let revision = reader.head().unwrap().revision;
    if last.is_none_or(|last| last > revision) {
        findings.push(format!("{last:?} was acknowledged, {revision} is durable"));
    }
    findings
}

/// Times to work before a kill, spread over the length of some commits.
fn spread(n: u64) -> u64 {
    n * 7 % 23
}

#[test]
fn kill_9_at_any_instant_loses_duplicates_and_invents_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let kills = env::var("OUTBOX_TEST_KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(100);
    for n in 0..kills {
        let findings = kill_and_verify(dir.path(), spread(n), false);
        assert!(findings.is_empty(), "after kill {n}: {findings:#?}");
    }
    let (outbox, recovered) = open(dir.path());
    assert_eq!(outbox.meta().writer_epoch, kills + 1);
    assert!(recovered.revision > 2 * kills);
}

#[test]
fn a_server_that_runs_before_it_records_is_caught() {
    let dir = tempfile::tempdir().unwrap();
    let caught = (0..100).any(|n| !kill_and_verify(dir.path(), spread(n), true).is_empty());
    assert!(caught, "this test would not see a lost commit either");
}

#[cfg(feature = "faults")]
#[test]
fn death_at_each_named_point_loses_duplicates_and_invents_nothing() {
    let dir = tempfile::tempdir().unwrap();
    for point in ["after-outbox-write", "after-outbox-fsync"] {
        for n in 0..200 {
            let mut command = myself();
            command.env("EVENKEEL_FAULT", format!("{point}=1/{}", 1 + n % 10)).stderr(Stdio::piped());
            let output = spawn(&mut command, dir.path()).wait_with_output().unwrap();
            assert!(
                String::from_utf8_lossy(&output.stderr).contains(&format!("fault: {point}")),
                "{output:?}"
            );
            let reader = OutboxReader::open(dir.path()).unwrap();
            let verified = verify::verify(&reader, Some(truth(dir.path())), |_, _| {}).unwrap();
            assert_eq!((verified.report.findings.first(), verified.damage), (&[][..], None), "{point} {n}");
        }
    }
}

#[test]
fn a_second_process_is_refused_while_the_first_lives() {
    let dir = tempfile::tempdir().unwrap();
    let mut child = spawn(&mut myself(), dir.path());
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    lines.by_ref().find(|line| line.starts_with("committed")).unwrap();
    let error = try_open(dir.path()).unwrap_err();
    assert!(error.to_string().contains(&format!("process {}", child.id())), "{error}");
    child.kill().unwrap();
    child.wait().unwrap();
    drop(open(dir.path()));
}

#[test]
fn a_full_disk_refuses_commits_whole_and_goes_on_when_there_is_room() {
    let dir = tempfile::tempdir().unwrap();
    // Files may have 600 kB (blocks of 512 bytes) until the limit is lifted from outside.
    let mut command = Command::new("sh");
    command
        .args(["-c", "trap '' XFSZ; ulimit -S -f 1200; exec \"$0\" \"$@\""])
        .arg(env::current_exe().unwrap());
    let mut child = spawn(&mut command, dir.path());
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let refused = lines.by_ref().find(|line| line.starts_with("refused")).unwrap();
    assert!(refused.contains("nothing was recorded"), "{refused}");
    let pid = child.id().to_string();
    let lifted = Command::new("prlimit").args(["--pid", &pid, "--fsize=unlimited"]).status();
    assert!(lifted.is_ok_and(|status| status.success()), "this test needs prlimit of util-linux");
    let more = lines.by_ref().filter(|line| line.starts_with("committed")).take(50).count();
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(more, 50, "it goes on");
    let reader = OutboxReader::open(dir.path()).unwrap();
    let verified = verify::verify(&reader, Some(truth(dir.path())), |_, _| {}).unwrap();
    assert_eq!((verified.report.findings.first(), verified.damage), (&[][..], None));
}

//! What evenkeel asks a real PostgreSQL itself.

use std::{fs, os::unix::fs::PermissionsExt as _, time::Duration};

use evenkeel_actors::{
    ports::database::UsageProbe as _,
    postgres::{
        own::{Own, OwnError, OwnSettings, Running},
        probe::Probe,
        sql::PgQuery,
        upstream::Upstream,
    },
};
use evenkeel_core::{
    postgres::understood::Understand as _,
    units::{resource::Resource, tick::Tick},
};
use rustix::process::Signal;
use tokio::task::LocalSet;

use crate::support::{
    postgres::{Cluster, Postgres, programs_of_18},
    wait_until,
};

fn with_own(url: &str, settings: OwnSettings, work: impl AsyncFnOnce(Own)) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (own, keeper) = Own::new(Upstream::parse(url).unwrap(), settings);
    LocalSet::new().block_on(&runtime, async {
        let keeper = tokio::task::spawn_local(keeper.run());
        work(own).await;
        keeper.await.expect("the keeper ends with the last handle");
    });
}

/// A session that sleeps in psql, of `user`; its pid.
fn sleeper(postgres: &Postgres, user: &str, before: &str) -> (std::process::Child, i32) {
    let sql = format!("{before}; select pg_sleep(300) /* sleeper */");
    let child = postgres.command("psql").env("PGUSER", user).args(["-Xq", "-c", &sql]).spawn().unwrap();
    let find = "select pid from pg_stat_activity where state = 'active' and query like '%/* sleeper */' \
                and wait_event = 'PgSleep' and pid <> pg_backend_pid()";
    wait_until("the session sleeps", || !postgres.psql(find).is_empty());
    (child, postgres.psql(find).parse().unwrap())
}

#[test]
fn functions_that_surely_read_are_those_of_the_catalog_alone() {
    for programs in [None, Some(programs_of_18()).filter(|folder| folder.exists())] {
        functions_of(&Cluster { programs, ..Cluster::default() }.start());
    }
}

fn functions_of(postgres: &Postgres) {
    postgres.psql("create function public.lower(int) returns int language sql as 'select 1'");
    with_own(&postgres.url("postgres", "postgres"), OwnSettings::default(), async |own| {
        let names = own.functions().await.unwrap();
        assert!(names.len() > 1_500, "{}", names.len());
        for sure in ["count", "upper", "now", "generate_series", "extract", "btrim", "substring"] {
            assert!(names.contains(sure), "{sure}");
        }
        for unsure in
            ["nextval", "set_config", "pg_advisory_lock", "random", "lo_export", "pg_notify", "lower"]
        {
            assert!(!names.contains(unsure), "{unsure}");
        }
        let mut understand = PgQuery::new("postgres");
        understand.functions(names);
        let mut sure = |text: &str| understand.understand(text).parts[0].sure_read;
        assert!(sure("select count(*), upper(a) from t where b = any ($1) and position('x' in c) > 0"));
        assert!(!sure("select lower(1)") && !sure("select random()"));
    });
}

#[test]
fn backends_are_known_by_pid_and_start_where_that_may_be_seen() {
    let postgres = Postgres::start();
    postgres.psql(
        "create role seer login; grant pg_monitor to seer; create role blind login; create role other login",
    );
    let (mut child, pid) = sleeper(&postgres, "other", "select pg_advisory_lock(1)");
    for user in ["seer", "blind"] {
        with_own(&postgres.url(user, "postgres"), OwnSettings::default(), async |own| {
            let seer = user == "seer";
            assert_eq!(own.sees_all().await.unwrap(), seer);
            let rows = own.activity().await.unwrap();
            let row = rows.iter().find(|row| row.pid == pid).expect("the session that sleeps");
            assert_eq!(row.user.as_deref(), Some("other"));
            assert_eq!(row.state.as_deref(), if seer { Some("active") } else { None });
            assert_eq!(row.backend_start.is_some(), seer);
            let start = row.backend_start.unwrap_or(1_800_000_000_000_000);
            let is = if seer { Running::Same } else { Running::PidAlone };
            assert_eq!(own.running(pid, Some(start)).await.unwrap(), is);
            assert_eq!(own.running(pid, None).await.unwrap(), Running::PidAlone);
            let earlier = own.running(pid, Some(start - 1)).await.unwrap();
            assert_eq!(earlier, if seer { Running::Gone } else { Running::PidAlone });
            assert_eq!(own.running(i32::MAX, Some(start)).await.unwrap(), Running::Gone);
            let locking = own.holds_advisory_lock(&[pid, 1, 2]).await.unwrap();
            assert_eq!(locking.into_iter().collect::<Vec<_>>(), [pid], "everybody sees locks");
            assert!(own.holds_advisory_lock(&[1]).await.unwrap().is_empty());
        });
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn verifiers_come_by_the_query_that_is_given() {
    let postgres = Postgres::start();
    postgres.psql(
        "create role bob login password 'geheim'; create role asks login; \
         create function public.verifier(name) returns text security definer language sql \
         as 'select rolpassword from pg_catalog.pg_authid where rolname = $1'",
    );
    let settings =
        OwnSettings { auth_query: Some("select public.verifier($1)".to_owned()), ..OwnSettings::default() };
    with_own(&postgres.url("asks", "postgres"), settings, async |own| {
        let verifier = own.verifier("bob").await.unwrap().unwrap();
        assert!(verifier.starts_with("SCRAM-SHA-256$4096:"), "{verifier}");
        assert_eq!(own.verifier("asks").await.unwrap(), None);
        assert_eq!(own.verifier("nobody'; drop table x").await.unwrap(), None);
    });
    with_own(&postgres.url("asks", "postgres"), OwnSettings::default(), async |own| {
        assert_eq!(own.verifier("bob").await, Err(OwnError::NoAuthQuery));
    });
    let settings =
        OwnSettings { auth_query: Some("select no_such($1)".to_owned()), ..OwnSettings::default() };
    with_own(&postgres.url("asks", "postgres"), settings, async |own| {
        let refused = own.verifier("bob").await.unwrap_err();
        assert!(matches!(refused, OwnError::Refused { code, .. } if code == "42883"));
    });
}

#[test]
fn the_password_is_read_again_at_each_connect() {
    let hba = vec!["local all all trust", "host all bob all scram-sha-256", "host all all all trust"];
    let mut postgres = Cluster { hba, ..Cluster::default() }.start();
    postgres.psql("create role bob login password 'one'");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pgpass");
    let write = |password: &str| {
        fs::write(&file, format!("127.0.0.1:*:postgres:bob:{password}\n")).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    };
    write("wrong");
    let settings = OwnSettings { passfile: Some(file.clone()), ..OwnSettings::default() };
    let url = postgres.url("bob", "postgres");
    with_own(&url, settings, async |own| {
        let refused = own.sees_all().await.unwrap_err();
        assert!(matches!(&refused, OwnError::Refused { code, .. } if code == "28P01"), "{refused}");
        assert!(!refused.to_string().contains("wrong"));
        write("one");
        answered(&own).await;
        // Another one, and the connection breaks: it is made anew with what the file says then.
        postgres.psql("alter role bob password 'two'");
        // Nothing is synced here: what a checkpoint has not written is gone with the process.
        postgres.psql("checkpoint");
        write("two");
        postgres.signal(Signal::KILL);
        postgres.wait();
        assert!(own.sees_all().await.is_err());
        postgres.restart();
        answered(&own).await;
    });
}

/// The keeper waits a while after a failure.
async fn answered(own: &Own) {
    for _ in 0..600 {
        if own.sees_all().await.is_ok() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("no answer: {:?}", own.sees_all().await);
}

#[test]
fn a_question_without_an_answer_is_given_up_and_the_next_one_is_answered() {
    let postgres = Postgres::start();
    postgres.psql("create table public.t (); create role asks login");
    let settings = OwnSettings {
        auth_query: Some("select pg_sleep(60)::text from (values ($1::text)) v".to_owned()),
        ..OwnSettings::default()
    };
    with_own(&postgres.url("asks", "postgres"), settings, async |own| {
        assert_eq!(own.verifier("bob").await, Err(OwnError::Late));
        answered(&own).await;
        // The server itself hangs.
        postgres.signal(Signal::STOP);
        let backends = postgres_backends(&postgres);
        for pid in &backends {
            stop(*pid, Signal::STOP);
        }
        assert_eq!(own.sees_all().await, Err(OwnError::Late));
        for pid in &backends {
            stop(*pid, Signal::CONT);
        }
        postgres.signal(Signal::CONT);
        answered(&own).await;
    });
}

fn postgres_backends(postgres: &Postgres) -> Vec<u32> {
    let children = format!("/proc/{pid}/task/{pid}/children", pid = postgres.pid());
    fs::read_to_string(children).unwrap().split_whitespace().map(|pid| pid.parse().unwrap()).collect()
}

fn stop(pid: u32, signal: Signal) {
    let pid = rustix::process::Pid::from_raw(pid.try_into().unwrap()).unwrap();
    rustix::process::kill_process(pid, signal).unwrap();
}

#[test]
fn what_a_cluster_uses_is_seen_by_its_backends_clocks() {
    let postgres = Postgres::start();
    let mut probe = Probe::pgdata(&postgres.data(), 100).unwrap();
    assert_eq!(probe.absent(), [Resource::Io, Resource::Memory]);
    let burn = "select count(*) from generate_series(1, 100000000) where generate_series % 3 = 1";
    let mut child = postgres.command("psql").args(["-Xq", "-c", burn]).spawn().unwrap();
    let (mut tick, mut cpu_us) = (0, 0);
    wait_until("a backend has used half a second of CPU", || {
        tick += 1;
        probe.begins(Tick(tick));
        cpu_us += probe.used().unwrap().iter().map(|told| told.usage.cpu).sum::<u64>();
        cpu_us > 500_000
    });
    child.kill().unwrap();
    child.wait().unwrap();
    // A cluster that is gone is said, and a folder that holds none.
    let data = postgres.data();
    drop(postgres);
    wait_until("the probe says that nobody is there", || {
        tick += 1;
        probe.begins(Tick(tick));
        probe.used().is_err()
    });
    assert!(Probe::pgdata(&data, 100).is_err());
}

//! What is told of statements of a real database: their texts, whose they are, what was answered, what runs.

use std::{path::Path, sync::Arc};

use actix_web::{App, test, web};
use evenkeel_actors::{
    server::{observer::Overview, queue::QueueSnapshot},
    stores::outbox::{Identity, Limits, Outbox, OutboxReader},
};
use evenkeel_core::{
    insight::recap::Recap,
    journal::{Answer, Commit, Entry, Mode, Outcome, QueryText, Record, Recovered, Released, Statement},
    server::queue::{Arrival, Finished, HoldLimits, RecordedQueue},
    units::{
        ids::{ExecutionId, QueryId},
        lengths::Lengths,
        tick::Tick,
        window::Measured,
    },
};
use serde_json::Value;
use tempfile::TempDir;
use uuid::Uuid;

use super::*;
use crate::http::{
    Access, AccessSettings, Views,
    tests::{still, views},
};

const NOW_MS: u64 = 1_800_000_000_000;

fn query(n: u128) -> QueryId {
    QueryId(Uuid::from_u128(n))
}

fn session() -> Uuid {
    Uuid::from_u128(0xabc)
}

fn execution(n: u128) -> ExecutionId {
    ExecutionId::new(NOW_MS, n)
}

fn asked(n: u128, of: u128, transaction: Option<u64>) -> Arrival {
    let statement = Statement {
        class: "interactive".to_owned(),
        user: "ann".to_owned(),
        database: "shop".to_owned(),
        application: "psql".to_owned(),
        client: "10.0.0.7:5".to_owned(),
        session: session(),
        transaction,
        pid: 4711,
        backend_start: None,
        tag: None,
    };
    Arrival { execution: execution(n), query: query(of), statement: Some(Arc::new(statement)), reason: None }
}

/// A server whose journal has three statements of two queries, and a fourth that runs.
fn world(dir: &Path) -> Views {
    let identity = Identity { label: "a test".to_owned(), ..Identity::default() };
    let (mut outbox, recovered) =
        Outbox::open(dir, &identity, Uuid::new_v4(), NOW_MS, Limits::default()).unwrap();
    let mut queue = uncertain(&recovered);
    let mut recap = Recap::default();
    let mut commit = |commit: Commit| {
        let entries: Vec<Entry> = outbox.commit(vec![commit]).remove(0).unwrap().entries;
        recap.apply(&entries, Tick(0), None);
    };
    commit(queue.advance(Tick(0), NOW_MS, Vec::new(), Measured::default()).unwrap().0);
    let text = |of, said: &str| QueryText {
        query: query(of),
        text: said.to_owned(),
        database: "shop".to_owned(),
        kind: said.split(' ').next().unwrap().to_owned(),
    };
    let arrivals = [asked(1, 1, Some(3)), asked(2, 1, Some(4)), asked(3, 2, Some(3)), asked(4, 1, None)];
    let texts = vec![text(1, "select $1"), text(2, "insert into t values ($1)")];
    commit(queue.admit(NOW_MS + 1, arrivals, texts).0);
    let ended = |n, duration_us, cpu_us, sqlstate: Option<&str>| Finished {
        execution: execution(n),
        tick: Tick(0),
        outcome: if sqlstate.is_some() { Outcome::Failed } else { Outcome::Ok },
        answer: Some(Answer {
            sqlstate: sqlstate.map(str::to_owned),
            rows: Some(n as u64),
            duration_us,
            cpu_us,
            note: None,
        }),
    };
    let all =
        [ended(1, 500, Some(100), None), ended(2, 700, None, None), ended(3, 900, Some(50), Some("23505"))];
    commit(queue.ended(NOW_MS + 2, &all).unwrap());
    let running: Vec<Released> = queue.released().cloned().collect();
    let snapshot = QueueSnapshot {
        tick: Tick(0),
        mode: Mode::Shadow,
        lease: None,
        levelled: false,
        waiting: Vec::new(),
        running,
    };
    let overview = Overview {
        queries: Arc::new(recap.queries().clone()),
        statements: recap.has_statements(),
        ..Overview::default()
    };
    Views {
        history: OutboxReader::opener(dir),
        queue: still(Some(Arc::new(snapshot))),
        overview: still(Arc::new(overview)),
        ..views(Access::new(AccessSettings::open()).unwrap())
    }
}

fn uncertain(recovered: &Recovered) -> RecordedQueue {
    RecordedQueue::recover(Lengths::default(), HoldLimits::default(), recovered).uncertain(None)
}

/// The status and body of what `path` answers.
async fn ask(views: &Views, path: &str) -> (u16, Value) {
    let app = App::new()
        .app_data(web::Data::new(views.clone()))
        .route("/queries", web::get().to(queries::list))
        .route("/queries/{id}", web::get().to(queries::one))
        .route("/executions", web::get().to(executions::executions))
        .route("/decisions/{execution}", web::get().to(decisions::explain))
        .route("/running", web::get().to(running::running));
    let app = test::init_service(app).await;
    let answer = test::call_service(&app, test::TestRequest::with_uri(path).to_request()).await;
    let status = answer.status().as_u16();
    (status, test::read_body_json(answer).await)
}

fn ids(queries: &Value) -> Vec<u128> {
    let all = queries["queries"].as_array().unwrap().iter();
    all.map(|one| one["query"].as_str().unwrap().parse::<Uuid>().unwrap().as_u128()).collect()
}

#[actix_web::test]
async fn queries_say_what_they_ask_and_are_sorted_by_what_they_took() {
    let dir = TempDir::new().unwrap();
    let views = world(dir.path());
    let (_, all) = ask(&views, "/queries").await;
    assert_eq!(ids(&all), [1, 2]);
    let first = &all["queries"][0];
    assert_eq!(first["text"]["text"], "select $1");
    assert_eq!((&first["text"]["kind"], &first["text"]["database"]), (&"select".into(), &"shop".into()));
    assert_eq!((&first["duration_us"], &first["cpu_us"]), (&1_200.into(), &100.into()));
    for (sort, order) in [("cpu", [1, 2]), ("duration", [1, 2]), ("calls", [1, 2]), ("delay", [1, 2])] {
        let (_, sorted) = ask(&views, &format!("/queries?sort={sort}")).await;
        assert_eq!((ids(&sorted), &sorted["next"]), (order.to_vec(), &Value::Null), "{sort}");
    }
    let one = ask(&views, &format!("/queries/{}", query(2))).await.1;
    assert_eq!(one["text"]["text"], "insert into t values ($1)");
    let (_, page) = ask(&views, "/queries?sort=cpu&limit=1").await;
    let next = page["next"].as_str().expect("there is more").to_owned();
    let (_, rest) = ask(&views, &format!("/queries?sort=cpu&after={next}")).await;
    assert_eq!((ids(&page), ids(&rest), &rest["next"]), (vec![1], vec![2], &Value::Null));
    let (status, problem) = ask(&views, "/queries?sort=name").await;
    assert_eq!(status, 400);
    assert!(problem["detail"].as_str().unwrap().contains("one of cpu, duration, calls, delay"), "{problem}");
}

#[actix_web::test]
async fn queries_that_took_more_come_first() {
    let dir = TempDir::new().unwrap();
    let mut views = world(dir.path());
    let mut overview = Overview::clone(&views.overview.borrow());
    let mut activity = (*overview.queries).clone();
    let second = activity.get_mut(&query(2)).unwrap();
    (second.cpu_us, second.duration_us, second.executed, second.added_ticks) = (9_000, 9_000, 9, 90);
    overview.queries = Arc::new(activity);
    views.overview = still(Arc::new(overview));
    for sort in ["cpu", "duration", "calls", "delay"] {
        let (_, sorted) = ask(&views, &format!("/queries?sort={sort}&limit=1")).await;
        assert_eq!((ids(&sorted), &sorted["total"]), (vec![2], &2.into()), "{sort}");
    }
}

#[actix_web::test]
async fn a_transactions_statements_are_told_together_with_what_was_answered() {
    let dir = TempDir::new().unwrap();
    let views = world(dir.path());
    let of = format!("/executions?session={}", session());
    let (_, all) = ask(&views, &of).await;
    assert_eq!(all["executions"].as_array().unwrap().len(), 3);
    let (_, page) = ask(&views, &format!("{of}&transaction=3&after=0-0")).await;
    let executions = page["executions"].as_array().unwrap();
    assert_eq!(executions.len(), 2);
    let failed = &executions[1];
    assert_eq!(failed["text"]["text"], "insert into t values ($1)");
    assert_eq!((&failed["outcome"], &failed["answer"]["sqlstate"]), (&"failed".into(), &"23505".into()));
    assert_eq!((&failed["answer"]["rows"], &failed["answer"]["cpu_us"]), (&3.into(), &50.into()));
    assert_eq!((&failed["statement"]["user"], &failed["statement"]["pid"]), (&"ann".into(), &4711.into()));
    let (_, none) = ask(&views, &format!("/executions?session={}", Uuid::nil())).await;
    assert_eq!(none["executions"], Value::Array(Vec::new()));
    let (status, problem) = ask(&views, "/executions?transaction=3").await;
    assert_eq!(status, 400);
    assert!(problem["detail"].as_str().unwrap().contains("expected `session` beside it"), "{problem}");
}

#[actix_web::test]
async fn what_runs_is_told_until_it_has_an_outcome() {
    let dir = TempDir::new().unwrap();
    let views = world(dir.path());
    let (_, running) = ask(&views, "/running").await;
    assert_eq!((&running["statements"], &running["total"]), (&true.into(), &1.into()));
    let one = &running["executions"][0];
    assert_eq!((&one["since_ms"], &one["text"]["text"]), (&(NOW_MS + 1).into(), &"select $1".into()));
    assert_eq!(
        (&one["statement"]["application"], &one["statement"]["transaction"]),
        (&"psql".into(), &Value::Null)
    );
    let (_, why) = ask(&views, &format!("/decisions/{}", execution(4))).await;
    assert_eq!((&why["state"], &why["text"]["text"]), (&"running".into(), &"select $1".into()));
    assert_eq!(why["sentence"], "It came at tick 0 and was sent at once. It has no outcome yet.");
    let (_, why) = ask(&views, &format!("/decisions/{}", execution(3))).await;
    assert_eq!((&why["state"], &why["outcome"]), (&"executed".into(), &"failed".into()));
    assert_eq!(
        why["sentence"],
        "It came at tick 0 and was sent at once. It ended failed with 23505 after 0.900 ms."
    );
    assert_eq!(why["statement"]["session"], session().to_string());
    let limited = ask(&views, "/running?limit=0").await;
    assert_eq!(limited.0, 400);
}

#[actix_web::test]
async fn a_simulated_database_runs_nothing_that_is_told() {
    let nobody = views(Access::new(AccessSettings::open()).unwrap());
    assert_eq!(ask(&nobody, "/running").await.0, 503, "recovering");
    let snapshot = QueueSnapshot {
        tick: Tick(0),
        mode: Mode::Shadow,
        lease: None,
        levelled: false,
        waiting: Vec::new(),
        running: Vec::new(),
    };
    let idle = Views { queue: still(Some(Arc::new(snapshot))), ..nobody };
    let (_, running) = ask(&idle, "/running").await;
    assert_eq!((&running["statements"], &running["total"]), (&false.into(), &0.into()));
}

#[actix_web::test]
async fn what_goes_before_it_is_due_says_so() {
    let mut record = asked(1, 1, None);
    record.reason = Some("released at once: its class' maximum delay is over".to_owned());
    let mut queue = uncertain(&Recovered::default());
    queue.advance(Tick(0), 1, vec![asked(1, 1, None)], Measured::default()).unwrap();
    queue.delay(execution(1), 50, 2).unwrap();
    let (commit, admitted) = queue.admit(3, [record], Vec::new());
    assert!(matches!(commit.records[..], [Record::Queue(_)]));
    let told = decisions::running(&admitted[0], Lengths::default());
    let said = serde_json::to_value(told).unwrap();
    let sentence = said["sentence"].as_str().unwrap();
    assert!(
        sentence.ends_with("released before that, at tick 0: released at once: its class' maximum delay is over. It has no outcome yet."),
        "{sentence}"
    );
}

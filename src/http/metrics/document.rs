//! docs/metrics.md, made of what the collectors write about a process that has everything.

use std::{collections::BTreeSet, fmt::Write as _, sync::Arc};

use evenkeel_actors::{
    leveller::{consumer::Role, scheduler::Decision},
    postgres::{front::Counters, pacing::PacingView},
    server::{
        daemon::{Pace, TickRun},
        observer::Overview,
        queue::{QueueSnapshot, WaitingExecution},
        shipper::Shipping,
    },
    supervise::health::{ActorHealth, ActorName, Roster},
};
use evenkeel_core::{
    insight::{
        benefit::Summary,
        counterfactual::Without,
        forecast::Forecast,
        recap::{SpanSummary, Step},
        report::{Decided, Report},
    },
    journal::{Lease, Mode},
    scheduler::Feasibility,
    server::pacer,
    units::{
        ids::{ExecutionId, QueryId},
        resource::PerResource,
        tick::Tick,
        window::{Extent, Window},
    },
};
use tokio::time::Instant;
use uuid::Uuid;

use super::*;
use crate::{
    documents,
    http::{
        Access, AccessSettings, ClientTold, ClientViews, ClientsViews, RedisView, Views,
        slice::Slices,
        tests::{still, views},
        v1::Frames,
    },
};

/// A server of which everything is known.
fn server() -> Views {
    let (tick, id) = (Tick(9), Uuid::nil());
    let waiting = WaitingExecution {
        execution: ExecutionId(id),
        query: QueryId(id),
        queued_tick: tick,
        due_tick: tick,
        planned_tick: tick,
        planned_ms: 0,
        held: false,
        reason: None,
        statement: None,
    };
    let queue = QueueSnapshot {
        tick,
        mode: Mode::Enforce,
        lease: Some(Lease { client: "client".to_owned(), epoch: 1, until: tick, ticks: 10 }),
        levelled: true,
        waiting: vec![waiting],
        running: Vec::new(),
    };
    let extent = Extent { average: 1.0, min: 1.0, max: 1.0 };
    let without = Without { usage: PerResource::from_fn(|_| extent), in_corridor: false };
    let usage = PerResource::from_fn(|_| Extent { average: 1, min: 1, max: 1 });
    let step = Step {
        window: Window {
            first_tick: Tick(0),
            last_tick: tick,
            usage,
            executed: 1,
            in_corridor: true,
            running: 0,
            incomplete: false,
        },
        closed_at_ms: 0,
        waiting: None,
        delays: None,
        forecast: Some(Forecast {
            first_tick: Tick(0),
            predicted: Some(PerResource::from_fn(|_| 1.0)),
            without: Some(without),
        }),
    };
    let span =
        SpanSummary { in_corridor: Some(1.0), in_corridor_without: Some(0.0), ..SpanSummary::default() };
    let overview =
        Overview { minute: span, five_minutes: span, steps: vec![step].into(), ..Overview::default() };
    let decided = Decided { tick, feasibility: Feasibility::FEASIBLE, slots: 1 };
    let report = Report { decided: Some(decided), residual: Some(0.1), ..Report::default() };
    let told = ClientTold { report: report.into(), costs: Arc::default(), at: Instant::now() };
    Views {
        queue: still(Some(queue.into())),
        overview: still(overview.into()),
        pace: still(Pace { last: Some(TickRun { tick, done_at: Instant::now() }), ..Pace::default() }),
        shipping: Some(still(Shipping::default())),
        told: still(Some(told)),
        redis: Some(still(RedisView::default())),
        ..views(Access::new(AccessSettings::open()).expect("no file is read"))
    }
}

/// A client of which everything is known.
fn client() -> ClientViews {
    let decision = Decision {
        tick: Tick(9),
        feasibility: Feasibility::FEASIBLE,
        slots: 1,
        benefit: Summary::default(),
        forecasts: Arc::default(),
        residual: Some(0.1),
        estimates: Arc::default(),
        shadow: None,
        learning_s: None,
        tick_ms: 100,
    };
    ClientViews {
        access: Access::new(AccessSettings::open()).expect("no file is read"),
        actors: Roster::default(),
        role: still(Role::Levelling),
        decision: still(Some(decision)),
        degraded: still(Vec::new()),
        acceptance: still(evenkeel_actors::leveller::acceptance::Acceptance::default()),
        outside: still(None),
    }
}

/// A front of which everything is known.
fn clients() -> ClientsViews {
    let pace = Some(pacer::Pace { core_us_per_s: 1, at_once: 1 });
    let pacing = still(Arc::new(PacingView { pace, ..PacingView::default() }));
    ClientsViews {
        counters: Counters::default(),
        reachable: still(Some(true)),
        pacing,
        degraded: still(Vec::new()),
    }
}

/// A metric, as it is told to Prometheus.
struct Described {
    name: String,
    kind: String,
    help: String,
    labels: BTreeSet<String>,
}

/// What `numbers` tell, in the order in which they do.
fn described(numbers: &Numbers) -> Vec<Described> {
    let mut text = String::new();
    encode(&mut text, numbers).expect("text can be written");
    let mut all = Vec::<Described>::new();
    for line in text.lines() {
        match line.splitn(4, ' ').collect::<Vec<_>>()[..] {
            ["#", "HELP", name, help] => all.push(Described {
                name: name.to_owned(),
                kind: String::new(),
                help: help.to_owned(),
                labels: BTreeSet::new(),
            }),
            ["#", "TYPE", _, kind] => all.last_mut().expect("help comes first").kind = kind.to_owned(),
            ["#", ..] => {}
            _ => {
                let labels = line.split_once('{').and_then(|(_, rest)| Some(rest.rsplit_once('}')?.0));
                let names = labels.unwrap_or_default().split(',').filter_map(|label| label.split_once('='));
                let names = names.map(|(name, _)| name.to_owned()).filter(|name| name != "le");
                all.last_mut().expect("help comes first").labels.extend(names);
            }
        }
    }
    for metric in &mut all {
        if metric.kind == "counter" {
            metric.name.push_str("_total");
        }
    }
    all
}

/// What a number counts, as its name says.
fn unit(Described { name, help, .. }: &Described) -> &'static str {
    let name = name.trim_end_matches("_total");
    let ends = |end: &str| name.ends_with(end);
    match () {
        () if help.starts_with("1 ") => "0 or 1",
        () if ends("_seconds") => "seconds",
        () if ends("_units") => "resource units",
        () if ends("tick") || ends("_ticks") => "ticks",
        () if ends("_share") || ends("_residual") => "ratio",
        () => "count",
    }
}

fn table(numbers: &Numbers) -> String {
    let mut text = "| name | type | labels | unit | meaning |\n|---|---|---|---|---|\n".to_owned();
    for metric in described(numbers) {
        let labels = metric.labels.iter().map(|label| format!("`{label}`")).collect::<Vec<_>>().join(" ");
        let Described { name, kind, help, .. } = &metric;
        let name = name.strip_prefix("evenkeel_").expect("all names begin so");
        writeln!(text, "| `{name}` | {kind} | {labels} | {} | {help} |", unit(&metric)).expect("room");
    }
    text
}

fn document() -> String {
    let mut server_numbers = registry();
    let frames = Frames::default();
    server_numbers.register_collector(Box::new(ServerNumbers { views: server(), frames }));
    let mut client_numbers = registry();
    client_numbers.register_collector(Box::new(ClientNumbers(client())));
    let mut front_numbers = registry();
    front_numbers.register_collector(Box::new(ClientsNumbers(clients())));
    let mut process_numbers = registry();
    let requests = Requests::default().for_thread();
    requests.count(
        &"GET".parse().expect("a method"),
        None,
        actix_web::http::StatusCode::OK,
        std::time::Duration::default(),
    );
    let roster = Roster::default();
    roster.add(ActorHealth::new(ActorName::Queue));
    process_numbers.register_collector(Box::new(Condition(Slices::new(Vec::new()))));
    process_numbers.register_collector(Box::new(Actors(roster)));
    process_numbers.register_collector(Box::new(Outputs));
    process_numbers.register_collector(Box::new(requests));
    format!(
        "# Metrics\n\n\
         This page is made from the code by `make docs`; a test fails while it is stale.\n\n\
         `GET /metrics` answers in the OpenMetrics form, or in the older text form for `Accept: text/plain`. It needs the\n\
         scope `read`. Every name begins with `evenkeel_`. Labels have few values, which are known beforehand. A metric\n\
         is absent while its value is not known.\n\n\
         ## Every process\n{}\n\
         ## The server's half: `run` and `server`\n{}\n\
         ## Before a real database: `run` and `server` with `--postgres`\n{}\n\
         ## A client of its own: `client`\n{}",
        table(&process_numbers),
        table(&server_numbers),
        table(&front_numbers),
        table(&client_numbers)
    )
}

#[actix_web::test]
async fn documents_metrics_are_those_of_the_code() {
    let document = document();
    for source in [
        include_str!("server.rs"),
        include_str!("client.rs"),
        include_str!("clients.rs"),
        include_str!("process.rs"),
    ] {
        for call in source.split("writer.").chain(source.split("Writer(encoder).")).skip(1) {
            let Some(name) = call.split_once('(').and_then(|(_, rest)| rest.trim_start().strip_prefix('"'))
            else {
                continue;
            };
            let name = name.split('"').next().expect("a name");
            let known = [format!("`{name}`"), format!("`{name}_total`")];
            assert!(
                known.iter().any(|name| document.contains(name)),
                "`{name}` is not in the sample of this test"
            );
        }
    }
    documents::current("docs/metrics.md", &document);
}

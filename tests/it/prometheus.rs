//! A real Prometheus scrapes server and client: both are up, and nothing of what they say is dropped.

use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::support::{World, pair::Pair, redis::free_port, wait_until};

/// Ends with the test.
struct Prometheus {
    child: Child,
    port: u16,
}

impl Prometheus {
    fn start(world: &World, targets: &[&str]) -> Self {
        let targets: Vec<_> =
            targets.iter().map(|base| format!("'{}'", base.strip_prefix("http://").unwrap())).collect();
        let file = world.path("prometheus.yml");
        let configuration = format!(
            "global:\n  scrape_interval: 1s\nscrape_configs:\n  - job_name: evenkeel\n    static_configs:\n      - targets: [{}]\n",
            targets.join(", ")
        );
        std::fs::write(&file, configuration).unwrap();
        let port = free_port();
        let child = Command::new("prometheus")
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.tsdb.path={}", world.path("prometheus").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(world.path("prometheus.txt")).unwrap())
            .spawn()
            .expect("prometheus is missing: `make tools` installs it");
        Self { child, port }
    }

    /// The values that `query` has now.
    fn query(&self, query: &str) -> Vec<(Value, f64)> {
        let url = format!("http://127.0.0.1:{}/api/v1/query", self.port);
        let Ok(mut answer) = ureq::get(&url).query("query", query).call() else { return Vec::new() };
        let answer: Value = answer.body_mut().read_json().unwrap();
        let result = answer["data"]["result"].as_array().unwrap();
        result
            .iter()
            .map(|one| (one["metric"].clone(), one["value"][1].as_str().unwrap().parse().unwrap()))
            .collect()
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn both_are_up_and_nothing_is_dropped() {
    let pair = Pair::new(World::new("x10", &[]));
    let server = pair.start_server();
    let client = pair.start_client();
    wait_until("the client levels", || server.get("/metrics").body.contains("evenkeel_levelled 1"));
    wait_until("what is expected is told", || server.get("/metrics").body.contains("kind=\"predicted\""));
    let prometheus = Prometheus::start(&pair.world, &[&server.base, &client.base]);
    wait_until("both are up", || {
        let up = prometheus.query("up");
        up.len() == 2 && up.iter().all(|(_, value)| (*value - 1.0).abs() < 1e-9)
    });
    // Each line of an answer is a sample that was taken; the answer to a scrape counts the scrape itself later.
    for (running, whose) in [(&server, "server"), (&client, "client")] {
        let instance = running.base.strip_prefix("http://").unwrap();
        let lines =
            || running.get("/metrics").body.lines().filter(|line| !line.starts_with('#')).count() as f64;
        wait_until(&format!("as many samples as lines, from the {whose}"), || {
            let found = prometheus
                .query(&format!("scrape_samples_post_metric_relabeling{{instance=\"{instance}\"}}"));
            found.iter().any(|(_, samples)| (samples - lines()).abs() < 0.5)
        });
    }
    for metric in [
        "evenkeel_tick",
        "evenkeel_executions_total",
        "evenkeel_outbox_unshipped",
        "evenkeel_outbox_oldest_seconds",
        "evenkeel_group_pending",
        "evenkeel_group_lag",
        "evenkeel_dead_letters",
        "evenkeel_corridor_share{over=\"1m\",levelling=\"measured\"}",
        "evenkeel_utilisation_units{kind=\"measured\",resource=\"cpu\",tick=\"max\"}",
        "evenkeel_utilisation_units{kind=\"predicted\",resource=\"io\",tick=\"average\"}",
        "evenkeel_utilisation_units{kind=\"without\",resource=\"memory\",tick=\"max\"}",
        "evenkeel_queue_depth",
        "evenkeel_delay_objective_seconds",
        "evenkeel_delay_level{level=\"good\"}",
        "evenkeel_cuts_peaks",
        "evenkeel_delay_ticks_bucket{le=\"+Inf\"}",
        "evenkeel_delay_ticks_sum",
        "evenkeel_late_ticks_total",
        "evenkeel_estimator_residual",
        "evenkeel_actor_restarts_total{actor=\"queue\"}",
        "evenkeel_actor_mailbox{actor=\"scheduler\"}",
        "evenkeel_http_requests_total{route=\"/metrics\",status=\"200\"}",
        "evenkeel_client_role{role=\"levelling\"}",
    ] {
        wait_until(&format!("{metric} is there"), || !prometheus.query(metric).is_empty());
    }
    // Whatever is asked for, there are as many routes as there are.
    for n in 0..50 {
        server.get(&format!("/nothing/{n}"));
        server.get(&format!("/api/v1/queries/{n}"));
        server.request("GET", &format!("/?x={n}"), "text/plain", "");
    }
    let routes = server
        .get("/metrics")
        .body
        .lines()
        .filter(|line| line.starts_with("evenkeel_http_requests_total"))
        .count();
    assert!(routes < 20, "{routes} kinds of requests");
    let said = std::fs::read_to_string(pair.world.path("prometheus.txt")).unwrap();
    assert!(!said.contains("level=error") && !said.contains("level=warn"), "{said}");
}

//! `evenkeel report`: the database as it is beside its twin, over the last hour and the last day.

use std::fmt::Write as _;

use clap::Args;
use serde_json::Value;

use super::{
    comparison::{Row, heading, seconds},
    remote::{self, ServerOptions},
};
use crate::{exit::Exit, output};

/// Queries that are printed; `--json` has them all.
const QUERIES_SHOWN: usize = 10;

#[derive(Debug, Args)]
#[command(
    after_help = "In mode `shadow` the twin is levelled as `enforce` would do it; in `enforce` nobody levels it."
)]
pub(super) struct Options {
    #[command(flatten)]
    server: ServerOptions,
}

pub(super) fn main(options: &Options) -> anyhow::Result<Exit> {
    let answer = remote::ask(&options.server, "/api/v1/shadow", None)?;
    output::data(|out| {
        if options.server.json { writeln!(out, "{answer}") } else { write!(out, "{}", text(&answer)) }
    })?;
    Ok(Exit::Ok)
}

/// What is said of an answer of /api/v1/shadow.
fn text(answer: &Value) -> String {
    let tick_ms = answer["tick_ms"].as_f64().unwrap_or(0.0);
    let twin = twin_name(answer);
    let compared = (answer["until_tick"].as_f64().unwrap_or(0.0)
        - answer["since_tick"].as_f64().unwrap_or(0.0))
        * tick_ms
        / 1e3;
    let mut text = format!("Compared since tick {}, for {}.\n", answer["since_tick"], seconds(compared));
    let _ = writeln!(text, "\n{}", heading());
    for (name, span) in [("last hour", &answer["hour"]), ("last day", &answer["day"])] {
        for (label, of) in [("as it is", &span["actual"]), (twin, &span["twin"])] {
            let _ = writeln!(text, "{}", Row::of(&format!("{name}, {label}"), of, tick_ms));
        }
    }
    if let Some(binding) = answer["binding"].as_str() {
        let cuts =
            if answer["cuts_peaks"] == true { "; peaks are cut with the delay that is allowed" } else { "" };
        let _ = writeln!(text, "\nThe corridor is out of reach, bound by {binding}{cuts}.");
    }
    queries(&mut text, &answer["hour"]["queries"], twin, tick_ms);
    text
}

fn twin_name(answer: &Value) -> &'static str {
    if answer["twin"] == "enforced" { "under enforce" } else { "without evenkeel" }
}

/// Delays of the queries that ran most often.
fn queries(text: &mut String, queries: &Value, twin: &str, tick_ms: f64) {
    let queries = queries.as_array().map(Vec::as_slice).unwrap_or_default();
    if queries.is_empty() {
        return;
    }
    let _ = writeln!(
        text,
        "\n{:36} {:>9}  {:>20}  {:>20}",
        "query, last hour",
        "executed",
        "as it is: p50, p99",
        format!("{twin}: p50, p99")
    );
    for query in &queries[..queries.len().min(QUERIES_SHOWN)] {
        let both = |of: &Value| match (of["p50"].as_f64(), of["p99"].as_f64()) {
            (Some(p50), Some(p99)) => {
                format!("{}, {}", seconds(p50 * tick_ms / 1e3), seconds(p99 * tick_ms / 1e3))
            }
            _ => "-".to_owned(),
        };
        let (id, executed) =
            (query["query"].as_str().unwrap_or("-"), query["executed"].as_u64().unwrap_or(0));
        let (actual, twin) = (both(&query["actual"]), both(&query["twin"]));
        let _ = writeln!(text, "{id:36} {executed:>9}  {actual:>20}  {twin:>20}");
    }
    if queries.len() > QUERIES_SHOWN {
        let _ = writeln!(text, "and {} more: --json", queries.len() - QUERIES_SHOWN);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn both_spans_and_the_queries_are_told_in_seconds_and_ticks() {
        let summary = |share: f64, mean: f64| {
            json!({"windows": 60, "in_corridor": share, "peak_to_mean_60s": 1.5, "executed": 600,
                   "delay_ticks": {"mean": mean, "p50": 1, "p95": 3, "p99": 4, "max": 9}})
        };
        let query = json!({"query": "5f2b0a2e-0000-4000-8000-000000000001", "executed": 42,
                           "actual": {"p50": 1, "p99": 1}, "twin": {"p50": 3, "p99": 8}});
        let span = json!({"actual": summary(0.0, 1.0), "twin": summary(0.97, 3.8), "queries": [query]});
        let answer = json!({"twin": "enforced", "since_tick": 20, "until_tick": 620, "tick_ms": 100, "binding": "budget",
                            "cuts_peaks": true, "hour": span, "day": span});
        let said = text(&answer);
        for expected in [
            "since tick 20, for 60.0 s",
            "last hour, as it is",
            "last day, under enforce",
            "0.97",
            "0.38 s (3.8)",
            "bound by budget; peaks are cut",
            "5f2b0a2e",
            "0.30 s, 0.80 s",
        ] {
            assert!(said.contains(expected), "`{expected}`: {said}");
        }
        assert!(said.lines().all(|line| line.len() <= 120), "{said}");
    }
}

//! `evenkeel status`: in a terminal what the page says first: level or not, at what delay, is everything recorded.

use std::{
    io::{IsTerminal as _, stdout},
    thread,
    time::Duration,
};

use clap::Args;
use evenkeel_core::units::span::Span;
use serde_json::Value;

use super::remote::{self, ServerOptions};
use crate::{
    exit::{Exit, ExitError},
    output,
};

/// How often `--watch` looks: a window closes once a second.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// To the upper left corner, and the rest emptied.
const REDRAW: &str = "\x1b[H\x1b[J";

#[derive(Debug, Args)]
#[command(after_help = "Exit code 0: ready, and everything recorded; 3: not; 4: it does not answer.")]
pub(super) struct Options {
    #[command(flatten)]
    server: ServerOptions,
    /// Look again each second, until interrupted.
    #[arg(short, long)]
    watch: bool,
}

pub(super) fn main(options: &Options) -> anyhow::Result<Exit> {
    let terminal = stdout().is_terminal();
    let colour = terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    loop {
        let asked = remote::ask(&options.server, "/api/v1/status", None);
        let text = match &asked {
            Ok(status) if options.server.json => format!("{status}\n"),
            Ok(status) => lines(status).iter().map(|line| line.text(colour)).collect(),
            Err(error) if options.watch && goes_on(error) => format!("{error:#}\n"),
            Err(_) => String::new(),
        };
        let people = options.watch && !options.server.json;
        let (before, after) = match (people, terminal) {
            (true, true) => (REDRAW, ""),
            // One after the other, apart.
            (true, false) => ("", "\n"),
            _ => ("", ""),
        };
        output::data(|out| write!(out, "{before}{text}{after}"))?;
        match asked {
            Err(error) if !(options.watch && goes_on(&error)) => return Err(error),
            Ok(status) if !options.watch => return Ok(verdict(&status)),
            _ => {}
        }
        pause();
    }
}

/// Whether a server that is away may come back: one that refuses does not change its mind.
fn goes_on(error: &anyhow::Error) -> bool {
    error.downcast_ref::<ExitError>().is_some_and(|error| error.exit == Exit::Unreachable)
}

#[expect(clippy::disallowed_methods, reason = "this thread does nothing else, there is no arbiter to block")]
fn pause() {
    thread::sleep(LOOK_EVERY);
}

fn verdict(status: &Value) -> Exit {
    let well = status["ready"] == true && status["capture"]["complete"] == true;
    if well { Exit::Ok } else { Exit::CheckFailed }
}

/// How a line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tone {
    Plain,
    Good,
    Warning,
    Bad,
}

#[derive(Debug)]
struct Line {
    label: &'static str,
    value: String,
    tone: Tone,
}

impl Line {
    fn text(&self, colour: bool) -> String {
        let Self { label, value, tone } = self;
        match tone {
            Tone::Good if colour => format!("{label:10}\x1b[32m{value}\x1b[0m\n"),
            Tone::Warning if colour => format!("{label:10}\x1b[33m{value}\x1b[0m\n"),
            Tone::Bad if colour => format!("{label:10}\x1b[31m{value}\x1b[0m\n"),
            _ => format!("{label:10}{value}\n"),
        }
    }
}

/// What is said of `status`, as /api/v1/status answers it.
fn lines(status: &Value) -> Vec<Line> {
    let plain = |label, value| Line { label, value, tone: Tone::Plain };
    let mut lines = vec![state(status)];
    if let Some(headline) = status["headline"].as_str() {
        lines.push(plain("brings", headline.to_owned()));
    }
    lines.push(plain("level", level(status)));
    lines.push(Line { label: "delay", value: delay(status), tone: tone(status) });
    lines.push(recorded(status));
    lines.push(plain("queue", queue(status)));
    lines.push(plain("mode", mode(status)));
    lines.push(plain("who", who(status)));
    let degraded = status["degraded"].as_array().map(Vec::as_slice).unwrap_or_default();
    let sentences = degraded.iter().filter_map(Value::as_str);
    lines.extend(sentences.map(|text| Line { label: "degraded", value: text.to_owned(), tone: Tone::Bad }));
    if degraded.is_empty() {
        lines.push(plain("degraded", "no".to_owned()));
    }
    lines
}

fn word<'a>(value: &'a Value, otherwise: &'a str) -> &'a str {
    value.as_str().unwrap_or(otherwise)
}

fn state(status: &Value) -> Line {
    let reasons: Vec<_> =
        status["reasons"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let ready = status["ready"] == true;
    let state = if ready { "ready".to_owned() } else { format!("not ready: {}", reasons.join("; ")) };
    let (name, database) = (word(&status["name"], "?"), word(&status["database"], "?"));
    let tone = if ready { Tone::Good } else { Tone::Bad };
    Line { label: "state", value: format!("{state}; `{name}`, {database}"), tone }
}

fn level(status: &Value) -> String {
    let minute = &status["minute"];
    let windows = minute["windows"].as_u64().unwrap_or(0);
    match (minute["in_corridor"].as_f64(), minute["in_corridor_without"].as_f64()) {
        (None, _) => "not known before the first window".to_owned(),
        (Some(share), without) => {
            let without =
                without.map(|without| format!("; without evenkeel {without:.2}")).unwrap_or_default();
            let reach = status["client"]["reach"].as_str();
            let reach = reach.map(|reach| format!("; {reach}")).unwrap_or_default();
            format!("{share:.2} of the last {windows} windows in the corridor{without}{reach}")
        }
    }
}

fn delay(status: &Value) -> String {
    let delays = &status["minute"]["delay_ticks"];
    let tick_ms = status["tick_ms"].as_f64().unwrap_or(0.0);
    let both = |name: &str| Some(span(delays[name].as_f64()?, tick_ms));
    let ran = match (both("mean"), both("p99")) {
        (Some(mean), Some(p99)) => format!("{mean} on average, p99 {p99}; 1 tick is none added"),
        _ => "nothing ran in the last minute".to_owned(),
    };
    match status["delay"]["sentence"].as_str() {
        Some(beyond) => format!("{ran}; {beyond}"),
        None => ran,
    }
}

fn span(ticks: f64, tick_ms: f64) -> Span {
    Span { ticks, tick_ms: tick_ms as u64 }
}

/// How the delay is to its objective.
fn tone(status: &Value) -> Tone {
    match status["delay"]["level"].as_str() {
        Some("good") => Tone::Good,
        Some("warning") => Tone::Warning,
        Some("bad") => Tone::Bad,
        _ => Tone::Plain,
    }
}

fn recorded(status: &Value) -> Line {
    let capture = &status["capture"];
    let number = |name: &str| capture[name].as_u64().unwrap_or(0);
    let complete = capture["complete"] == true;
    let value = if complete {
        format!("all of {} that ran; {} wait in the outbox", number("executed"), number("in_outbox"))
    } else {
        format!(
            "not everything: {} ran, {} are recorded",
            number("executed"),
            number("journalled") + number("in_outbox")
        )
    };
    Line { label: "recorded", value, tone: if complete { Tone::Good } else { Tone::Bad } }
}

fn queue(status: &Value) -> String {
    let Some(queued) = status["queued"].as_u64() else { return "being restored".to_owned() };
    let tick_ms = status["tick_ms"].as_f64().unwrap_or(0.0);
    let oldest = status["oldest_wait_ticks"].as_f64();
    let oldest = oldest.map(|ticks| format!(", the oldest for {}", span(ticks, tick_ms))).unwrap_or_default();
    format!("{queued} wait{oldest}")
}

fn mode(status: &Value) -> String {
    let mode = word(&status["mode"], "being restored");
    format!("{mode}, {}", if status["levelled"] == true { "slots decide" } else { "no slots decide" })
}

fn who(status: &Value) -> String {
    let lease = &status["lease"];
    let client = &status["client"];
    let role = client["role"].as_str().map(|role| format!("; it says `{role}`")).unwrap_or_default();
    match (lease["client"].as_str(), lease["epoch"].as_u64()) {
        (Some(name), Some(epoch)) => format!("{name}, epoch {epoch}{role}"),
        _ => format!("nobody levels{role}"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn text(status: &Value) -> String {
        lines(status).iter().map(|line| line.text(false)).collect()
    }

    #[test]
    fn all_that_the_page_says_first_is_said() {
        let status = json!({
            "name": "main", "database": "a simulated one", "ready": true, "reasons": [], "degraded": [],
            "tick_ms": 100, "mode": "enforce", "levelled": true, "queued": 3, "oldest_wait_ticks": 20,
            "lease": {"client": "host pid 1", "epoch": 4, "until_tick": 9},
            "client": {"role": "levelling", "reach": "the corridor is out of reach with this budget; peaks are cut"},
            "headline": "CPU peak 100 instead of 145",
            "delay": {"level": "warning", "sentence": "the oldest execution waits for 2 s"},
            "capture": {"executed": 70, "journalled": 60, "in_outbox": 10, "complete": true},
            "minute": {"windows": 60, "in_corridor": 0.966, "in_corridor_without": 0.01,
                       "delay_ticks": {"mean": 12.4, "p99": 32}},
        });
        let said = text(&status);
        for expected in [
            "ready",
            "0.97 of the last 60 windows",
            "without evenkeel 0.01",
            "1.2 s (12.4 ticks)",
            "3.2 s (32 ticks)",
            "brings    CPU peak 100 instead of 145",
            "; peaks are cut",
            "the oldest execution waits for 2 s",
            "all of 70",
            "10 wait in the outbox",
            "3 wait, the oldest for 2 s (20 ticks)",
            "enforce, slots decide",
            "host pid 1, epoch 4",
            "degraded  no",
        ] {
            assert!(said.contains(expected), "`{expected}`: {said}");
        }
        assert_eq!(verdict(&status), Exit::Ok);
        assert!(lines(&status).iter().any(|line| line.text(true).contains("\x1b[33m1.2 s")));
    }

    #[test]
    fn what_is_wrong_is_said_and_fails_the_check() {
        let status = json!({
            "ready": false, "reasons": ["recovering"], "degraded": ["no client levels", "the disk is full"],
            "tick_ms": 100, "capture": {"executed": 7, "journalled": 5, "in_outbox": 1, "complete": false},
        });
        let said = text(&status);
        for expected in [
            "not ready: recovering",
            "not everything: 7 ran, 6",
            "degraded  no client levels",
            "the disk is full",
            "nobody levels",
        ] {
            assert!(said.contains(expected), "`{expected}`: {said}");
        }
        assert_eq!(verdict(&status), Exit::CheckFailed);
        assert!(lines(&status)[0].text(true).contains("\x1b[31m"));
    }
}

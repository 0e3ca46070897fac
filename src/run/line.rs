//! The line that each of the long-running commands prints each second.

use evenkeel_actors::leveller::{
    consumer::Role,
    scheduler::{Decision, LastDecision},
};
use evenkeel_core::{
    insight::{
        benefit,
        report::reach,
        shadow::{Other, ShadowReport, Summary},
    },
    units::span::Span,
};
use tokio::sync::watch;

use crate::{
    http::{Cause, ClientViews, Views},
    output,
};

/// Lines between two headings: a screen.
const HEADING_EVERY: u32 = 20;

/// Prints a heading now and then.
#[derive(Default)]
struct Headed {
    printed: u32,
}

impl Headed {
    fn print(&mut self, heading: &str, line: &str) {
        if self.printed.is_multiple_of(HEADING_EVERY) {
            output::line(heading);
        }
        self.printed += 1;
        output::line(line);
    }
}

/// What levelling brings: share in the corridor with and without it, and the delay at so many milliseconds a tick.
struct Benefit(benefit::Summary, u64);

const BENEFIT: &str = "corridor   (n)  without   delay  ticks     p99 ticks";

impl std::fmt::Display for Benefit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self(summary, tick_ms) = self;
        let seconds = |ticks| format!("{:.2} s", Span { ticks, tick_ms: *tick_ms }.seconds());
        write!(
            f,
            "{:>8} {:>5} {:>8} {:>7} {:>6} {:>7} {:>5}",
            share(Some(summary.in_corridor).filter(|_| summary.windows > 0)),
            format!("({})", summary.windows),
            share(summary.in_corridor_without),
            seconds(summary.delay_ticks_mean),
            format!("{:.1}", summary.delay_ticks_mean),
            seconds(summary.delay_ticks_p99 as f64),
            summary.delay_ticks_p99,
        )
    }
}

fn share(share: Option<f64>) -> String {
    share.map_or_else(|| "-".to_owned(), |share| format!("{share:.2}"))
}

fn note(decision: &Decision) -> String {
    let shadow = decision.shadow.as_deref().and_then(|report| would(report, decision.tick_ms));
    reach(decision.feasibility, decision.learning_s).into_iter().chain(shadow).collect::<Vec<_>>().join("; ")
}

/// What `enforce` would have reached in the last hour, while it is not on.
fn would(report: &ShadowReport, tick_ms: u64) -> Option<String> {
    let Summary { in_corridor, peak_to_mean_60s, delays, .. } = report.hour.twin;
    if report.other != Other::Enforced {
        return None;
    }
    let peak = peak_to_mean_60s.map(|peak| format!(", peak/mean {peak:.2}")).unwrap_or_default();
    let delay =
        delays.map(|delays| format!(", delay {}", Span { ticks: delays.mean, tick_ms })).unwrap_or_default();
    Some(format!("enforce: {}{peak}{delay}", share(in_corridor)))
}

/// A delay that is beyond its objective.
fn beyond(views: &Views) -> Option<String> {
    views.delay_verdict().brief()
}

/// The most urgent cause, and how many more there are.
fn first_cause(degraded: &[Cause]) -> Option<String> {
    let (first, more) = degraded.split_first()?;
    let more = if more.is_empty() { String::new() } else { format!(" (and {} more: /readyz)", more.len()) };
    Some(format!("{}{more}", first.sentence))
}

/// The tick, the mode and what waits, of the server's half.
fn served(views: &Views) -> Option<(u64, &'static str, usize)> {
    let tick = views.pace.borrow().last?.tick;
    let queue = views.queue.borrow().clone();
    let (mode, queued) = queue.map_or(("-", 0), |queue| (queue.mode.name(), queue.waiting.len()));
    Some((tick.0, mode, queued))
}

/// `run`: both halves.
#[derive(Default)]
pub(super) struct Embedded(Headed);

impl Embedded {
    pub(super) fn print(&mut self, views: &Views, decision: &watch::Receiver<LastDecision>) {
        let heading = format!("    tick mode     {BENEFIT} queued  lag  note");
        let Some((tick, mode, queued)) = served(views) else {
            self.0.print(&heading, &format!("{:>8} waiting for the first tick", "-"));
            return;
        };
        let (benefit, lag, noted) = match &*decision.borrow() {
            None => {
                (benefit::Summary::default(), "-".to_owned(), "the client has not decided yet".to_owned())
            }
            Some(decision) => {
                (decision.benefit, tick.saturating_sub(decision.tick.0).to_string(), note(decision))
            }
        };
        let note = first_cause(&views.degraded.borrow()).or_else(|| beyond(views)).unwrap_or(noted);
        let note = [
            views.ahead_until().map(|until| format!("fast forward to tick {until}")).unwrap_or_default(),
            note,
        ];
        let note = note.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("; ");
        let benefit = Benefit(benefit, views.about.lengths.tick_ms);
        let line = format!("{tick:>8} {mode:8} {benefit} {queued:>6} {lag:>4}  {note}");
        self.0.print(&heading, line.trim_end());
    }
}

/// `server`.
#[derive(Default)]
pub(super) struct Server(Headed);

impl Server {
    pub(super) fn print(&mut self, views: &Views) {
        let heading = "    tick mode      queued  last window: cpu     io  memory corridor  unshipped  note";
        let Some((tick, mode, queued)) = served(views) else {
            self.0.print(heading, &format!("{:>8} waiting for the first tick", "-"));
            return;
        };
        let window = match views.window.borrow().as_deref() {
            None => format!("{:>16} {:>6} {:>7} {:>8}", "-", "-", "-", "-"),
            Some(closed) => {
                let usage = &closed.window.usage;
                let level = if closed.window.in_corridor { "in" } else { "out" };
                format!(
                    "{:>16} {:>6} {:>7} {level:>8}",
                    usage.cpu.average, usage.io.average, usage.memory.average
                )
            }
        };
        let shipping = views.shipping.as_ref().map(|shipping| shipping.borrow().clone());
        let lag = shipping.map_or(0, |shipping| shipping.lag(&views.outbox.borrow().last_seq));
        let note = first_cause(&views.degraded.borrow()).or_else(|| beyond(views)).unwrap_or_default();
        let line = format!("{tick:>8} {mode:8} {queued:>7} {window} {lag:>10}  {note}");
        self.0.print(heading, line.trim_end());
    }
}

/// `client`.
#[derive(Default)]
pub(super) struct Client(Headed);

impl Client {
    pub(super) fn print(&mut self, views: &ClientViews, seen: &str) {
        let heading = format!("    tick {BENEFIT}   slots  note");
        let line = match (&*views.role.borrow(), &*views.decision.borrow()) {
            (Role::StandingBy { holder }, _) => format!("{:>8} standing by: {holder} levels", "-"),
            (Role::Waiting { cause }, _) => format!("{:>8} waiting: {cause}", "-"),
            (Role::GaveUp { cause }, _) => format!("{:>8} gave up levelling: {cause}", "-"),
            (Role::Restoring, _) => format!("{:>8} reading the state", "-"),
            (Role::Levelling, decision) => match (views.trouble(), decision) {
                (Some(trouble), decision) => {
                    let tick =
                        decision.as_ref().map_or_else(|| "-".to_owned(), |decided| decided.tick.to_string());
                    format!("{tick:>8} without effect: {trouble}")
                }
                (None, None) => format!("{:>8} nothing has been decided yet", "-"),
                (None, Some(decision)) => {
                    let Decision { tick, slots, benefit, tick_ms, .. } = decision;
                    let cause = first_cause(&views.degraded.borrow()).unwrap_or_default();
                    let note = [note(decision), seen.to_owned(), cause];
                    let note =
                        note.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("  ");
                    format!("{:>8} {} {slots:>7}  {note}", tick.0, Benefit(*benefit, *tick_ms))
                }
            },
        };
        self.0.print(&heading, line.trim_end());
    }
}

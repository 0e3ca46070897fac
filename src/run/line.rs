//! The line that `evenkeel run` prints each second.

use std::io::{self, Write};

use evenkeel_core::benefit::Summary;

use super::wiring::Running;

const HEADING: &str = "    tick mode     corridor (last n)  without delay, ticks    p99  queued   lag  note";
/// Lines between two headings: a screen.
const HEADING_EVERY: u32 = 20;

/// Prints lines, and a heading now and then.
#[derive(Default)]
pub(super) struct Line {
    printed: u32,
}

impl Line {
    /// # Errors
    /// Nobody reads standard output any more.
    pub(super) fn print(&mut self, running: &Running) -> io::Result<()> {
        let mut out = io::stdout().lock();
        if self.printed.is_multiple_of(HEADING_EVERY) {
            writeln!(out, "{HEADING}")?;
        }
        self.printed += 1;
        let Some(pace) = running.views.pace.borrow().last else {
            return writeln!(out, "{:>8} waiting for the first tick", "-");
        };
        let queue = running.views.queue.borrow().clone();
        let (mode, queued) = queue.map_or(("-", 0), |queue| (queue.mode.name(), queue.waiting.len()));
        let decision = *running.decision.borrow();
        let (summary, lag, note) = match &decision {
            None => (Summary::default(), "-".to_owned(), "the client has not decided yet".to_owned()),
            Some(decision) => {
                let binding = decision.feasibility.binding.map(|binding| format!("bound by {binding}"));
                let lag = pace.tick.since(decision.tick).to_string();
                (decision.benefit, lag, binding.unwrap_or_default())
            }
        };
        writeln!(
            out,
            "{:>8} {:8} {:>11} {:>5} {:>8} {:>12} {:>6} {:>7} {:>5}  {}",
            pace.tick,
            mode,
            share(Some(summary.in_corridor).filter(|_| summary.windows > 0)),
            format!("({})", summary.windows),
            share(summary.in_corridor_without),
            format!("{:.1}", summary.delay_ticks_mean),
            summary.delay_ticks_p99,
            queued,
            lag,
            note,
        )
    }
}

fn share(share: Option<f64>) -> String {
    share.map_or_else(|| "-".to_owned(), |share| format!("{share:.2}"))
}

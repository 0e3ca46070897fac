//! Whether executions run within the delay that people want: the objective, in three levels.

use std::fmt;

use super::recap::DelaySummary;
use crate::units::span::Span;

/// Beyond so many times the objective a single execution is held too long, however short the others wait.
const FAR_BEYOND: u64 = 2;

/// How the delay is to the objective.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Nothing is beyond it.
    #[default]
    Good,
    /// Some executions are.
    Warning,
    /// They are on average, or one is far beyond.
    Bad,
}

impl Level {
    /// From the best to the worst.
    pub const ALL: [Self; 3] = [Self::Good, Self::Warning, Self::Bad];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Warning => "warning",
            Self::Bad => "bad",
        }
    }
}

/// What is judged, in ticks.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Waits {
    /// Delays of what ran in the last minute.
    pub ran: Option<DelaySummary>,
    /// Since the oldest of what waits was queued.
    pub oldest: Option<u64>,
    /// Since the base due tick that has been passed longest. What `/delay` asked for is no part of it.
    pub longest_held: Option<u64>,
}

/// A verdict, with the worst that was found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Verdict {
    /// How the delay is.
    pub level: Level,
    objective: Span,
    found: Option<Found>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Found {
    Mean(Span),
    Held(Span),
    Oldest(Span),
    Percentile(Span),
}

impl Waits {
    /// Judged by an objective, both in ticks of `tick_ms` milliseconds.
    pub fn judged(&self, objective_ticks: u64, tick_ms: u64) -> Verdict {
        let span = |ticks| Span::of(ticks, tick_ms);
        let beyond = |ticks: Option<u64>, times: u64| ticks.filter(|ticks| *ticks > times * objective_ticks);
        let mean = self.ran.map(|ran| ran.mean).filter(|mean| *mean > objective_ticks as f64);
        let bad = mean
            .map(|ticks| Found::Mean(Span { ticks, tick_ms }))
            .or_else(|| beyond(self.longest_held, FAR_BEYOND).map(|ticks| Found::Held(span(ticks))));
        let warning = || {
            let oldest = beyond(self.oldest, 1).map(|ticks| Found::Oldest(span(ticks)));
            oldest.or_else(|| {
                beyond(self.ran.map(|ran| ran.p99), 1).map(|ticks| Found::Percentile(span(ticks)))
            })
        };
        let (level, found) = match (bad, warning()) {
            (Some(found), _) => (Level::Bad, Some(found)),
            (None, Some(found)) => (Level::Warning, Some(found)),
            (None, None) => (Level::Good, None),
        };
        Verdict { level, objective: span(objective_ticks), found }
    }
}

impl Verdict {
    /// What is beyond the objective; none when nothing is.
    pub fn sentence(&self) -> Option<String> {
        self.found
            .map(|found| found.to_string() + &format!(", the delay objective is {}", self.objective.time()))
    }

    /// The same in the room of a line; colours are not for every terminal.
    pub fn brief(&self) -> Option<String> {
        let colour = if self.level == Level::Bad { "red" } else { "amber" };
        let (what, span) = match self.found? {
            Found::Mean(span) => ("delay", span),
            Found::Held(span) => ("held for", span),
            Found::Oldest(span) => ("oldest wait", span),
            Found::Percentile(span) => ("p99", span),
        };
        Some(format!("{colour}: {what} {}, objective {}", span.time(), self.objective.time()))
    }
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mean(span) => write!(f, "executions are delayed by {span} on average"),
            Self::Held(span) => write!(f, "an execution is held for {span}"),
            Self::Oldest(span) => write!(f, "the oldest execution waits for {span}"),
            Self::Percentile(span) => write!(f, "one in a hundred executions is delayed by {span} or longer"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ran(mean: f64, p99: u64) -> DelaySummary {
        DelaySummary { mean, p50: 1, p95: 1, p99, max: p99 }
    }

    fn said(waits: Waits) -> (Level, String) {
        let verdict = waits.judged(20, 100);
        (verdict.level, verdict.sentence().unwrap_or_default())
    }

    #[test]
    fn nothing_beyond_the_objective_is_good() {
        assert_eq!(said(Waits::default()), (Level::Good, String::new()));
        let within = Waits { ran: Some(ran(20.0, 20)), oldest: Some(20), longest_held: Some(20) };
        assert_eq!(said(within), (Level::Good, String::new()));
    }

    #[test]
    fn an_oldest_wait_beyond_it_is_never_good() {
        let late = Waits { oldest: Some(21), ..Waits::default() };
        let expected = "the oldest execution waits for 2.1 s (21 ticks), the delay objective is 2 s";
        assert_eq!(said(late), (Level::Warning, expected.to_owned()));
    }

    #[test]
    fn a_tail_beyond_it_is_a_warning_and_a_mean_is_bad() {
        let (level, tail) = said(Waits { ran: Some(ran(5.0, 30)), ..Waits::default() });
        assert_eq!(level, Level::Warning);
        assert!(tail.contains("one in a hundred") && tail.contains("3 s (30 ticks)"), "{tail}");
        let (level, mean) =
            said(Waits { ran: Some(ran(20.5, 30)), oldest: Some(90), longest_held: Some(90) });
        assert_eq!(level, Level::Bad);
        assert!(
            mean.contains("2 s (20.5 ticks) on average") || mean.contains("2.1 s (20.5 ticks)"),
            "{mean}"
        );
    }

    #[test]
    fn what_is_held_far_beyond_it_is_bad_and_what_delay_asked_for_is_not() {
        let asked = Waits { oldest: Some(490), longest_held: Some(0), ..Waits::default() };
        assert_eq!(said(asked).0, Level::Warning);
        let (level, held) = said(Waits { longest_held: Some(41), ..asked });
        let brief = Waits { longest_held: Some(41), ..asked }.judged(20, 100).brief();
        assert_eq!(brief.as_deref(), Some("red: held for 4.1 s, objective 2 s"));
        assert_eq!(asked.judged(20, 100).brief().as_deref(), Some("amber: oldest wait 49 s, objective 2 s"));
        assert_eq!(Waits::default().judged(20, 100).brief(), None);
        assert_eq!(
            (level, &*held),
            (Level::Bad, "an execution is held for 4.1 s (41 ticks), the delay objective is 2 s")
        );
    }
}

//! Spans of time, as people give them and as people read them: seconds, with ticks beside them.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, de};

/// What is expected of a span.
pub const EXPECTED: &str = "ticks (6, 2.5) or a time (6s, 250ms, 2m)";
/// Longest span that can be given: a day.
const MS_MAX: f64 = 86_400_000.0;
/// The same in ticks at the default pace.
const TICKS_MAX: f64 = 864_000.0;

/// A span as it was given. A time is so many ticks only where the length of a tick is known.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Given {
    /// In ticks.
    Ticks(f64),
    /// In milliseconds.
    Ms(f64),
}

/// A span that cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no span of time: expected {EXPECTED}, of a day at the most")]
pub struct NoSpan(String);

impl Given {
    /// In ticks of `tick_ms` milliseconds.
    pub fn ticks(self, tick_ms: u64) -> f64 {
        match self {
            Self::Ticks(ticks) => ticks,
            Self::Ms(ms) => ms / tick_ms.max(1) as f64,
        }
    }

    /// In whole ticks of `tick_ms` milliseconds, at least one: a part of a tick is a tick.
    pub fn whole_ticks(self, tick_ms: u64) -> u64 {
        self.ticks(tick_ms).ceil().max(1.0) as u64
    }

    /// As a ceiling for the mean delay, in ticks of `tick_ms` milliseconds. What is shorter than a tick allows what a tick
    /// does: that none is added.
    pub fn budget_ticks(self, tick_ms: u64) -> f64 {
        self.ticks(tick_ms).max(1.0)
    }

    fn is_sane(self) -> bool {
        match self {
            Self::Ticks(ticks) => ticks > 0.0 && ticks <= TICKS_MAX,
            Self::Ms(ms) => ms > 0.0 && ms <= MS_MAX,
        }
    }
}

impl FromStr for Given {
    type Err = NoSpan;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refused = || NoSpan(text.to_owned());
        let (number, unit) = text.trim().split_at(
            text.trim().find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.trim().len()),
        );
        let number: f64 = number.parse().map_err(|_| refused())?;
        let given = match unit.trim_start() {
            "" | "tick" | "ticks" => Self::Ticks(number),
            "ms" => Self::Ms(number),
            "s" => Self::Ms(number * 1e3),
            "m" | "min" => Self::Ms(number * 60e3),
            "h" => Self::Ms(number * 3_600e3),
            _ => return Err(refused()),
        };
        Some(given).filter(|given| given.is_sane()).ok_or_else(refused)
    }
}

impl fmt::Display for Given {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Ticks(ticks) => write!(f, "{ticks}"),
            Self::Ms(ms) if ms < 1e3 => write!(f, "{ms}ms"),
            Self::Ms(ms) => write!(f, "{}s", ms / 1e3),
        }
    }
}

/// From a number of ticks, or from text with a unit.
impl<'de> Deserialize<'de> for Given {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(GivenVisitor)
    }
}

struct GivenVisitor;

impl de::Visitor<'_> for GivenVisitor {
    type Value = Given;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(EXPECTED)
    }

    fn visit_f64<E: de::Error>(self, ticks: f64) -> Result<Given, E> {
        // With the words of the text form: a number is refused for the same reasons.
        ticks.to_string().parse().map_err(E::custom)
    }

    fn visit_i64<E: de::Error>(self, ticks: i64) -> Result<Given, E> {
        ticks.to_string().parse().map_err(E::custom)
    }

    fn visit_u64<E: de::Error>(self, ticks: u64) -> Result<Given, E> {
        ticks.to_string().parse().map_err(E::custom)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Given, E> {
        text.parse().map_err(E::custom)
    }
}

/// A span as people read it: `1.2 s (12 ticks)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Span {
    /// Ticks, perhaps a mean.
    pub ticks: f64,
    /// Milliseconds of a tick.
    pub tick_ms: u64,
}

impl Span {
    /// So many whole ticks.
    pub fn of(ticks: u64, tick_ms: u64) -> Self {
        Self { ticks: ticks as f64, tick_ms }
    }

    /// In seconds.
    pub fn seconds(self) -> f64 {
        self.ticks * self.tick_ms as f64 / 1e3
    }

    /// The time alone: `1.2 s`.
    pub fn time(self) -> String {
        let seconds = self.seconds();
        // What is shorter than a tick at the default pace is not 0.
        let digits = if seconds > 0.0 && seconds < 0.1 { 2 } else { 1 };
        format!("{} s", short(seconds, digits))
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ticks = short(self.ticks, 1);
        let s = if ticks == "1" { "" } else { "s" };
        write!(f, "{} ({ticks} tick{s})", self.time())
    }
}

/// With at most `digits` decimals, none of which is an idle zero.
fn short(value: f64, digits: usize) -> String {
    let text = format!("{value:.digits$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_number_is_ticks_and_a_unit_makes_it_a_time() {
        let of = |text: &str| text.parse::<Given>().unwrap();
        assert_eq!([of("6"), of("2.5 ticks")], [Given::Ticks(6.0), Given::Ticks(2.5)]);
        assert_eq!(
            [of("6s"), of("6 s"), of("250ms"), of("2min")].map(|given| given.whole_ticks(100)),
            [60, 60, 3, 1_200]
        );
        assert_eq!([of("6"), of("6s"), of("1ms")].map(|given| given.whole_ticks(10)), [6, 600, 1]);
        // A ceiling keeps its fraction.
        for (text, ticks) in [("250ms", 2.5), ("1.5s", 15.0), ("1ms", 1.0), ("2.5", 2.5)] {
            assert!((of(text).budget_ticks(100) - ticks).abs() < 1e-9, "{text}");
        }
    }

    #[test]
    fn what_is_no_span_is_refused_with_what_would_be_one() {
        for text in
            ["", "s", "30h", "-1", "0", "0s", "nan", "inf", "1e9", "6 s s", "2d", "864001", "25000min"]
        {
            let refused = text.parse::<Given>().unwrap_err().to_string();
            assert!(
                refused.contains(EXPECTED) && refused.contains(&format!("`{text}`")),
                "{text}: {refused}"
            );
        }
    }

    #[test]
    fn what_is_shown_is_read_as_the_same() {
        for text in ["6", "2.5", "6s", "1.5s", "250ms"] {
            assert_eq!(text.parse::<Given>().unwrap().to_string(), text);
        }
        assert_eq!("2min".parse::<Given>().unwrap().to_string(), "120s");
    }

    #[test]
    fn seconds_come_first_and_ticks_beside_them() {
        let said = |ticks, tick_ms| Span { ticks, tick_ms }.to_string();
        assert_eq!(said(12.0, 100), "1.2 s (12 ticks)");
        assert_eq!(said(1.0, 100), "0.1 s (1 tick)");
        assert_eq!(said(13.62, 100), "1.4 s (13.6 ticks)");
        assert_eq!(said(20.0, 100), "2 s (20 ticks)");
        assert_eq!(said(3.0, 10), "0.03 s (3 ticks)");
        assert_eq!(said(0.0, 100), "0 s (0 ticks)");
        assert_eq!(said(490.0, 100), "49 s (490 ticks)");
    }
}

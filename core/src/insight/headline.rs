//! The first sentence of all: what levelling does to the peak and to the share, and for which delay.

use super::recap::{Peak, SpanSummary};
use crate::units::{
    resource::{PerResource, Resource},
    span::Span,
};

/// What `minute` was like, beside what it would have been; none while that is not known.
pub fn headline(minute: &SpanSummary, tick_ms: u64) -> Option<String> {
    let (resource, peak) = highest(minute.peaks.as_ref()?);
    let (share, without) = (minute.in_corridor?, minute.in_corridor_without?);
    let delay = Span { ticks: minute.delays?.mean, tick_ms }.time();
    Some(format!(
        "{} peak {} instead of {}, {} of windows in the corridor instead of {}, for {delay} of delay",
        name(resource),
        grouped(peak.with),
        grouped(peak.without),
        percent(share),
        percent(without),
    ))
}

/// The resource whose peak would be highest over its mean.
fn highest(peaks: &PerResource<Peak>) -> (Resource, Peak) {
    let over_mean = |r: &Resource| peaks[*r].without / peaks[*r].mean.max(f64::MIN_POSITIVE);
    let highest = Resource::ALL.into_iter().max_by(|a, b| over_mean(a).total_cmp(&over_mean(b)));
    let resource = highest.unwrap_or(Resource::ALL[0]);
    (resource, peaks[resource])
}

fn name(resource: Resource) -> &'static str {
    match resource {
        Resource::Cpu => "CPU",
        Resource::Io => "IO",
        Resource::Memory => "memory",
    }
}

/// Only all is 100 %, and only nothing is 0 %.
fn percent(share: f64) -> String {
    let rounded = (share * 100.0).round();
    match share {
        share if share < 1.0 && rounded >= 100.0 => "99 %".to_owned(),
        share if share > 0.0 && rounded < 1.0 => "less than 1 %".to_owned(),
        _ => format!("{rounded} %"),
    }
}

/// A whole number, in groups of three digits.
fn grouped(value: f64) -> String {
    let digits = format!("{:.0}", value.max(0.0));
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::insight::recap::DelaySummary;

    fn minute() -> SpanSummary {
        let peak = |with, without| Peak { with, without, mean: 500.0 };
        SpanSummary {
            windows: 60,
            in_corridor: Some(0.966),
            in_corridor_without: Some(0.001),
            executed: 9,
            delays: Some(DelaySummary { mean: 4.2, p50: 4, p95: 5, p99: 6, max: 7 }),
            peaks: Some(PerResource {
                cpu: peak(1_000.4, 1_450.0),
                io: peak(900.0, 1_000.0),
                memory: peak(900.0, 1_449.0),
            }),
        }
    }

    #[test]
    fn peak_share_and_delay_are_one_sentence() {
        let expected = "CPU peak 1,000 instead of 1,450, 97 % of windows in the corridor instead of less than 1 %, for \
            0.4 s of delay";
        assert_eq!(headline(&minute(), 100).unwrap(), expected);
    }

    #[test]
    fn what_is_not_known_is_not_said() {
        for unknown in [
            SpanSummary { peaks: None, ..minute() },
            SpanSummary { in_corridor_without: None, ..minute() },
            SpanSummary { delays: None, ..minute() },
        ] {
            assert_eq!(headline(&unknown, 100), None);
        }
    }

    #[test]
    fn numbers_are_grouped_and_only_all_is_all() {
        assert_eq!([0.0, 999.0, 1_000.0, 1_234_567.2].map(grouped), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!(
            [0.0, 0.004, 0.5, 0.999, 1.0].map(percent),
            ["0 %", "less than 1 %", "50 %", "99 %", "100 %"]
        );
    }
}

//! The first sentence of all: what levelling does to the peak and to the share, and for which delay.

use super::{
    recap::{Peak, SpanSummary},
    shadow::{Other, ShadowReport},
};
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

/// What the last hour would have been like under `enforce`, beside what it was; none while nobody compares that.
pub fn would(report: &ShadowReport, tick_ms: u64) -> Option<String> {
    let (actual, twin) = (report.hour.actual, report.hour.twin);
    let peak = actual.peak_to_mean_60s.zip(twin.peak_to_mean_60s);
    let peak = peak.map(|(is, would)| format!("a peak of {would:.2} times the mean instead of {is:.2}, "));
    let delay = Span { ticks: twin.delays?.mean, tick_ms }.time();
    (report.other == Other::Enforced).then_some(())?;
    Some(format!(
        "enforce would bring {}{} of windows in the corridor instead of {}, for {delay} of delay",
        peak.unwrap_or_default(),
        percent(twin.in_corridor?),
        percent(actual.in_corridor?),
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
    use crate::{
        insight::{
            recap::DelaySummary,
            shadow::{Comparison, Summary},
        },
        units::tick::Tick,
    };

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
    fn in_shadow_it_says_what_enforce_would_bring() {
        let summary = |share, peak, mean| Summary {
            windows: 60,
            in_corridor: Some(share),
            peak_to_mean_60s: Some(peak),
            executed: 9,
            delays: Some(DelaySummary { mean, p50: 4, p95: 5, p99: 6, max: 7 }),
        };
        let hour = Comparison {
            actual: summary(0.0, 1.72, 1.0),
            twin: summary(0.97, 1.12, 4.2),
            queries: Vec::new(),
        };
        let (since, until) = (Tick(0), Tick(600));
        let report = |other| ShadowReport {
            other,
            since,
            until,
            feasibility: None,
            hour: hour.clone(),
            day: hour.clone(),
        };
        assert_eq!(
            would(&report(Other::Enforced), 100).unwrap(),
            "enforce would bring a peak of 1.12 times the mean instead of 1.72, 97 % of windows in the corridor instead of \
             0 %, for 0.4 s of delay"
        );
        assert_eq!(would(&report(Other::Unlevelled), 100), None);
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

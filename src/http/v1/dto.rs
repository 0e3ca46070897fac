//! Values that several answers hold. Ticks are integers, `*_ms` are Unix ms or durations in ms.

use evenkeel_core::{
    insight::{
        minutes::Minute,
        recap::{DelaySummary, Peak, SpanSummary, Step},
    },
    units::{resource::PerResource, window::Extent},
};
use serde::Serialize;
use utoipa::ToSchema;

/// One number a resource.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub(crate) struct Numbers {
    /// Processor time.
    cpu: f64,
    /// Disk and network transfer.
    io: f64,
    /// Working memory.
    memory: f64,
}

impl From<PerResource<f64>> for Numbers {
    fn from(PerResource { cpu, io, memory }: PerResource<f64>) -> Self {
        Self { cpu, io, memory }
    }
}

/// Resource units a tick: mean, smallest and largest tick.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct TickExtent {
    pub(crate) average: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

impl From<Extent<f64>> for TickExtent {
    fn from(Extent { average, min, max }: Extent<f64>) -> Self {
        Self { average, min, max }
    }
}

impl From<Extent> for TickExtent {
    fn from(Extent { average, min, max }: Extent) -> Self {
        Self { average: average as f64, min: min as f64, max: max as f64 }
    }
}

impl TickExtent {
    /// One over the stretches of `all`, which are of equal length; none of none.
    fn over(all: impl Iterator<Item = Self> + Clone) -> Option<Self> {
        let count = all.clone().count();
        let average = all.clone().map(|extent| extent.average).sum::<f64>() / count as f64;
        let both = all.reduce(|a, b| Self { average, min: a.min.min(b.min), max: a.max.max(b.max) })?;
        Some(Self { average, ..both })
    }
}

/// One extent a resource.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct Extents {
    cpu: TickExtent,
    io: TickExtent,
    memory: TickExtent,
}

impl<T: Copy + Into<TickExtent>> From<PerResource<T>> for Extents {
    fn from(PerResource { cpu, io, memory }: PerResource<T>) -> Self {
        Self { cpu: cpu.into(), io: io.into(), memory: memory.into() }
    }
}

impl Extents {
    fn over(all: &[Self]) -> Option<Self> {
        Some(Self {
            cpu: TickExtent::over(all.iter().map(|extents| extents.cpu))?,
            io: TickExtent::over(all.iter().map(|extents| extents.io))?,
            memory: TickExtent::over(all.iter().map(|extents| extents.memory))?,
        })
    }
}

/// Delays in ticks, where 1 is none added; percentiles by nearest rank.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub(crate) struct DelayTicks {
    mean: f64,
    p50: u64,
    p95: u64,
    p99: u64,
    max: u64,
}

impl From<DelaySummary> for DelayTicks {
    fn from(DelaySummary { mean, p50, p95, p99, max }: DelaySummary) -> Self {
        Self { mean, p50, p95, p99, max }
    }
}

/// What levelling brought and cost over a span of windows.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub(crate) struct Benefit {
    /// Windows in the span.
    pub(crate) windows: usize,
    /// Share of them in the corridor; null before the first.
    pub(crate) in_corridor: Option<f64>,
    /// Share that would have been in it without evenkeel, by learned costs; null while that is not known.
    pub(crate) in_corridor_without: Option<f64>,
    /// Executions that ran in them.
    executed: u64,
    /// Their delays; null when there were none.
    delay_ticks: Option<DelayTicks>,
    /// Their largest ticks; null while it is not known what they would have been without evenkeel.
    peaks: Option<Peaks>,
}

impl From<SpanSummary> for Benefit {
    fn from(span: SpanSummary) -> Self {
        let SpanSummary { windows, in_corridor, in_corridor_without, executed, delays, peaks } = span;
        let (delay_ticks, peaks) = (delays.map(Into::into), peaks.map(Into::into));
        Self { windows, in_corridor, in_corridor_without, executed, delay_ticks, peaks }
    }
}

/// One peak a resource.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub(crate) struct Peaks {
    cpu: PeakUnits,
    io: PeakUnits,
    memory: PeakUnits,
}

impl From<PerResource<Peak>> for Peaks {
    fn from(PerResource { cpu, io, memory }: PerResource<Peak>) -> Self {
        Self { cpu: cpu.into(), io: io.into(), memory: memory.into() }
    }
}

/// The largest tick of a span, in resource units.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub(crate) struct PeakUnits {
    /// As measured.
    measured: f64,
    /// As it would have been without evenkeel, by learned costs.
    without: f64,
}

impl From<Peak> for PeakUnits {
    fn from(Peak { with, without, mean: _ }: Peak) -> Self {
        Self { measured: with, without }
    }
}

/// One step of history: one window, or several together.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub(crate) struct Point {
    /// Its first tick.
    pub(crate) first_tick: u64,
    /// Its last tick, inclusive.
    pub(crate) last_tick: u64,
    /// When its last window closed.
    closed_at_ms: u64,
    /// Windows in it.
    windows: u64,
    /// Windows of these that were in the corridor.
    windows_in_corridor: u64,
    /// The same as a share of them.
    in_corridor: f64,
    /// Executions that ran in it.
    executed: u64,
    /// Resource units a tick, as measured.
    measured: Extents,
    /// Mean units a tick of what ran, by the costs that were known before; null while they are not.
    predicted: Option<Numbers>,
    /// Resource units a tick without evenkeel: every execution at its base due tick, by learned costs.
    without: Option<Extents>,
    /// Windows of which is known what they would have been without evenkeel.
    windows_known_without: u64,
    /// Windows of these that would have been in the corridor.
    windows_in_corridor_without: u64,
    /// Executions that waited at its end; null when nobody looked.
    queued: Option<u64>,
    /// Ticks that the oldest of them had waited.
    oldest_wait_ticks: Option<u64>,
    /// Delays of what ran. Of several windows the largest of each.
    delay_ticks: Option<DelayTicks>,
}

impl From<&Step> for Point {
    fn from(step: &Step) -> Self {
        let Step { window, closed_at_ms, waiting, delays, forecast } = step;
        let without = forecast.and_then(|forecast| forecast.without);
        Self {
            first_tick: window.first_tick.0,
            last_tick: window.last_tick.0,
            closed_at_ms: *closed_at_ms,
            windows: 1,
            windows_in_corridor: u64::from(window.in_corridor),
            in_corridor: f64::from(u8::from(window.in_corridor)),
            executed: window.executed,
            measured: window.usage.into(),
            predicted: forecast.and_then(|forecast| forecast.predicted).map(Into::into),
            without: without.map(|without| without.usage.into()),
            windows_known_without: u64::from(without.is_some()),
            windows_in_corridor_without: u64::from(without.is_some_and(|without| without.in_corridor)),
            queued: waiting.map(|waiting| waiting.executions),
            oldest_wait_ticks: waiting.and_then(|waiting| waiting.oldest_ticks),
            delay_ticks: delays.map(Into::into),
        }
    }
}

impl From<&Minute> for Point {
    fn from(minute: &Minute) -> Self {
        let Minute { windows, in_corridor, without, .. } = *minute;
        Self {
            first_tick: minute.first_tick.0,
            last_tick: minute.last_tick.0,
            closed_at_ms: minute.closed_at_ms,
            windows,
            windows_in_corridor: in_corridor,
            in_corridor: in_corridor as f64 / windows.max(1) as f64,
            executed: minute.executed,
            measured: minute.measured.into(),
            predicted: None,
            without: without.map(|without| without.usage.into()),
            windows_known_without: without.map_or(0, |without| without.windows),
            windows_in_corridor_without: without.map_or(0, |without| without.in_corridor),
            queued: minute.queued,
            oldest_wait_ticks: minute.oldest_wait_ticks,
            delay_ticks: minute.delays.map(Into::into),
        }
    }
}

impl Point {
    /// Several points as one: means of means, and the extremes of all, so that no peak is averaged away.
    pub(crate) fn together(points: &[Self]) -> Option<Self> {
        let ([first, ..], [.., last]) = (points, points) else { return None };
        let measured: Vec<_> = points.iter().map(|point| point.measured).collect();
        let without: Vec<_> = points.iter().filter_map(|point| point.without).collect();
        let predicted: Vec<_> = points.iter().filter_map(|point| point.predicted).collect();
        let delays: Vec<_> = points.iter().filter_map(|point| point.delay_ticks).collect();
        let windows = points.iter().map(|point| point.windows).sum();
        let windows_in_corridor = points.iter().map(|point| point.windows_in_corridor).sum();
        let whole = |count: usize| count == points.len();
        Some(Self {
            first_tick: first.first_tick,
            windows,
            windows_in_corridor,
            in_corridor: windows_in_corridor as f64 / windows as f64,
            executed: points.iter().map(|point| point.executed).sum(),
            measured: Extents::over(&measured)?,
            predicted: whole(predicted.len()).then(|| mean(&predicted)),
            without: Extents::over(&without).filter(|_| whole(without.len())),
            windows_known_without: points.iter().map(|point| point.windows_known_without).sum(),
            windows_in_corridor_without: points.iter().map(|point| point.windows_in_corridor_without).sum(),
            delay_ticks: delays.into_iter().reduce(|a, b| DelayTicks {
                mean: a.mean.max(b.mean),
                p50: a.p50.max(b.p50),
                p95: a.p95.max(b.p95),
                p99: a.p99.max(b.p99),
                max: a.max.max(b.max),
            }),
            ..*last
        })
    }
}

fn mean(all: &[Numbers]) -> Numbers {
    let mean = |number: fn(&Numbers) -> f64| all.iter().map(number).sum::<f64>() / all.len() as f64;
    Numbers { cpu: mean(|n| n.cpu), io: mean(|n| n.io), memory: mean(|n| n.memory) }
}

#[cfg(test)]
mod tests {
    use evenkeel_core::units::{tick::Tick, window::Window};

    use super::*;

    fn point(first: u64, average: u64, max: u64) -> Point {
        let window = Window {
            first_tick: Tick(first),
            last_tick: Tick(first + 9),
            usage: PerResource::all(Extent { average, min: 1, max }),
            executed: 2,
            in_corridor: first == 0,
            running: 0,
            incomplete: false,
        };
        let step = Step { window, closed_at_ms: first, waiting: None, delays: None, forecast: None };
        Point::from(&step)
    }

    #[test]
    fn a_peak_survives_however_coarse_the_steps_are() {
        let together = Point::together(&[point(0, 10, 90), point(10, 30, 40)]).unwrap();
        assert_eq!((together.first_tick, together.last_tick), (0, 19));
        assert_eq!(together.measured.io, TickExtent { average: 20.0, min: 1.0, max: 90.0 });
        assert_eq!((together.windows, together.windows_in_corridor, together.executed), (2, 1, 4));
        assert!((together.in_corridor - 0.5).abs() < 1e-12);
        assert_eq!(together.without, None);
        assert!(Point::together(&[]).is_none());
    }
}

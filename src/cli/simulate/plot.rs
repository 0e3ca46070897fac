//! Pictures of runs: utilisation with and without levelling, the delay that it costs, and the frontier.

use std::{fs::OpenOptions, ops::Range, path::Path};

use evenkeel_core::{
    simulate::Run,
    units::{resource::Resource, tick::Tick},
};
use plotters::{
    coord::{Shift, types::RangedCoordf64},
    prelude::*,
};

use crate::exit::ExitError;

/// Ticks shown: a minute at the default pace, in which single ticks can still be told apart.
const SHOWN_TICKS: usize = 600;
const WIDTH: u32 = 1000;
const PANEL: u32 = 190;
const FRONTIER: u32 = 380;
const WITH: RGBColor = RGBColor(0x1f, 0x5f, 0xa8);
const WITHOUT: RGBColor = RGBColor(0xc8, 0xc8, 0xc8);
const CORRIDOR: RGBColor = RGBColor(0x9f, 0xd3, 0x9f);
/// One for each policy of the frontier, distinguishable without red and green.
const COLOURS: [RGBColor; 6] = [
    RGBColor(0x55, 0x55, 0x55),
    RGBColor(0xe6, 0x9f, 0x00),
    RGBColor(0x00, 0x9e, 0x73),
    RGBColor(0xcc, 0x79, 0xa7),
    RGBColor(0x56, 0xb4, 0xe9),
    RGBColor(0x1f, 0x5f, 0xa8),
];

/// A policy under several budgets.
pub(super) struct Frontier {
    pub(super) policy: &'static str,
    pub(super) points: Vec<Point>,
}

/// What a policy reaches under a budget, and at which delay.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Point {
    /// Mean, in ticks.
    pub(super) delay: f64,
    /// Share of windows in the corridor.
    pub(super) share: f64,
    /// Largest tick of a minute over its mean.
    pub(super) peak: f64,
}

/// Whether a picture can be written to `path`: that is known before anything is run for it.
///
/// # Errors
/// It cannot be; exit code 2.
pub(super) fn check(path: &Path) -> Result<(), ExitError> {
    let new = !path.exists();
    let opened = OpenOptions::new().append(true).create(true).open(path);
    let opened = opened.map_err(|error| {
        ExitError::usage(format!("--plot {}: {error}; expected a file that can be written", path.display()))
    });
    if opened.is_ok() && new {
        // It is written when there is something to be seen.
        let _ = std::fs::remove_file(path);
    }
    opened.map(drop)
}

/// Draws `with` and `without` of the same load over each other, and the frontier below.
///
/// # Errors
/// The file cannot be written.
pub(super) fn draw(
    path: &Path,
    title: &str,
    with: &Run,
    without: &Run,
    frontier: &[Frontier],
) -> anyhow::Result<()> {
    let height = 4 * PANEL + 2 * FRONTIER;
    let root = SVGBackend::new(path, (WIDTH, height)).into_drawing_area();
    root.fill(&WHITE)?;
    let (panels, below) = root.split_vertically(4 * PANEL);
    let panels = panels.split_evenly((4, 1));
    for (panel, resource) in panels.iter().zip(Resource::ALL) {
        utilisation(panel, &format!("{title}: {resource} per tick"), with, without, resource)?;
    }
    delay(&panels[3], with)?;
    let (shares, peaks) = below.split_vertically(FRONTIER);
    let title = "the frontier: share of windows in the corridor over mean delay";
    draw_frontier(&shares, title, 0.0..1.0, frontier, |point| point.share)?;
    let highest = frontier.iter().flat_map(|policy| &policy.points).map(|point| point.peak);
    let highest = highest.fold(2.0, f64::max) * 1.05;
    let title = "the frontier of peaks: largest tick of a minute over its mean, over mean delay";
    draw_frontier(&peaks, title, 1.0..highest, frontier, |point| point.peak)?;
    root.present()?;
    Ok(())
}

fn shown(run: &Run) -> Range<usize> {
    let first = (run.trace.from.0 as usize).min(run.trace.usage.len().saturating_sub(SHOWN_TICKS));
    let first = run.trace.lengths.border_before(Tick(first as u64)).0 as usize;
    first..(first + SHOWN_TICKS).min(run.trace.usage.len())
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

type Chart<'a, 'b> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;

/// An empty chart over `ticks`, from 0 to a little more than `largest`.
fn over_ticks<'a, 'b>(
    area: &'a Area<'b>,
    title: &str,
    ticks: &Range<usize>,
    largest: f64,
) -> anyhow::Result<Chart<'a, 'b>> {
    let mut chart = ChartBuilder::on(area)
        .caption(title, ("sans-serif", 15))
        .margin(6)
        .margin_right(24)
        .x_label_area_size(36)
        .y_label_area_size(48)
        .build_cartesian_2d(ticks.start as f64..ticks.end as f64, 0.0..largest * 1.05)?;
    chart
        .configure_mesh()
        .disable_mesh()
        .y_labels(4)
        .x_label_formatter(&|tick| format!("{tick:.0}"))
        .y_label_formatter(&|value| format!("{value:.0}"))
        .x_desc("tick")
        .draw()?;
    Ok(chart)
}

fn utilisation(
    area: &Area<'_>,
    title: &str,
    with: &Run,
    without: &Run,
    resource: Resource,
) -> anyhow::Result<()> {
    let ticks = shown(with);
    let used = |run: &Run, tick: usize| run.trace.usage.get(tick).map_or(0.0, |usage| usage[resource] as f64);
    let largest = ticks.clone().map(|tick| used(without, tick).max(used(with, tick))).fold(1.0, f64::max);
    let mut chart = over_ticks(area, title, &ticks, largest)?;
    let window_ticks = with.trace.lengths.window_ticks as usize;
    let corridor = ticks.clone().step_by(window_ticks).map(|first| {
        let window = first..first + window_ticks;
        let mean = window.clone().map(|tick| used(with, tick)).sum::<f64>() / window_ticks as f64;
        let corners = [(window.start as f64, 0.9 * mean), (window.end as f64, 1.1 * mean)];
        Rectangle::new(corners, CORRIDOR.filled())
    });
    chart.draw_series(corridor)?;
    for (run, colour, name) in [(without, WITHOUT, "without"), (with, WITH, "with evenkeel")] {
        let line = ticks.clone().map(|tick| (tick as f64 + 0.5, used(run, tick)));
        chart.draw_series(LineSeries::new(line, colour))?.label(name).legend(legend(colour));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperRight)
        .background_style(WHITE.mix(0.9))
        .draw()?;
    Ok(())
}

fn delay(area: &Area<'_>, with: &Run) -> anyhow::Result<()> {
    let ticks = shown(with);
    let delays: Vec<(f64, f64)> = with
        .trace
        .delays
        .iter()
        .map(|(queued, delay)| ((queued.0 + delay) as usize, *delay as f64))
        .filter(|(tick, _)| ticks.contains(tick))
        .map(|(tick, delay)| (tick as f64 + 0.5, delay))
        .collect();
    let largest = delays.iter().map(|(_, delay)| *delay).fold(1.0, f64::max);
    let title = "delay of each execution, in ticks (1 = none added)";
    let mut chart = over_ticks(area, title, &ticks, largest)?;
    chart.draw_series(delays.into_iter().map(|point| Circle::new(point, 2, WITH.filled())))?;
    Ok(())
}

fn draw_frontier(
    area: &Area<'_>,
    title: &str,
    values: Range<f64>,
    frontier: &[Frontier],
    value: fn(&Point) -> f64,
) -> anyhow::Result<()> {
    let delays = frontier.iter().flat_map(|policy| &policy.points).map(|point| point.delay);
    let largest = delays.fold(2.0, f64::max);
    let mut chart = ChartBuilder::on(area)
        .caption(title, ("sans-serif", 15))
        .margin(6)
        .margin_right(24)
        .x_label_area_size(36)
        .y_label_area_size(48)
        .build_cartesian_2d((1.0..largest * 1.05).log_scale(), values)?;
    chart.configure_mesh().light_line_style(WHITE).x_desc("mean delay, ticks (log scale)").draw()?;
    for (policy, colour) in frontier.iter().zip(COLOURS) {
        let points = || policy.points.iter().map(|point| (point.delay, value(point)));
        chart.draw_series(LineSeries::new(points(), colour))?;
        let points = points().map(|point| Circle::new(point, 3, colour.filled()));
        chart.draw_series(points)?.label(policy.policy).legend(legend(colour));
    }
    chart.configure_series_labels().background_style(WHITE.mix(0.8)).draw()?;
    Ok(())
}

fn legend(colour: RGBColor) -> impl Fn((i32, i32)) -> PathElement<(i32, i32)> {
    move |(x, y)| PathElement::new(vec![(x, y), (x + 18, y)], colour.stroke_width(2))
}

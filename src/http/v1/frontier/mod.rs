//! `GET /api/v1/frontier`: what each delay budget brings for the load that was recorded, before one is chosen.
//!
//! ```text
//! request ─▶ made in the last ten minutes? ─ yes ─▶ answered with its age
//!               └ no ─▶ a thread of its own: last load, learned costs ─▶ policy after policy ─▶ kept
//! ```

mod load;
mod made;

use actix_web::web;
use evenkeel_core::{
    scheduler::PolicyName,
    simulate::{Asked, Report},
    units::{lengths::Lengths, tick::Tick},
};
use serde::Serialize;
use utoipa::ToSchema;

pub(crate) use self::made::Frontiers;
use self::made::{Known, Made, Stage};
use crate::http::{
    Views,
    fields::{NoParameters, Query},
};

/// How a frontier stands.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum FrontierState {
    /// It cannot be made yet.
    Waiting,
    /// It is being made; `frontier` is the one before, if there is one.
    Computing,
    /// It is there.
    Ready,
}

/// Share and peak over delay, as far as they are known.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct FrontierView {
    state: FrontierState,
    /// What is waited for; null when nothing is.
    note: Option<String>,
    /// Part of the work that is done, 0 to 1; null while nobody works.
    progress: Option<f64>,
    /// What was made last; null before.
    frontier: Option<Frontier>,
}

/// What each delay budget brings for the load that was recorded, at learned costs.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Frontier {
    /// Time since its load was read.
    age_ms: u64,
    /// The first tick of the load.
    first_tick: u64,
    /// The first tick that is counted: each policy begins with an empty queue.
    counted_from_tick: u64,
    /// The last tick of the load.
    last_tick: u64,
    /// Length of a tick.
    tick_ms: u64,
    /// Whether all budgets were tried: work ends after a minute.
    complete: bool,
    /// Without levelling, then evenkeel, then `least-loaded`, each by rising budget up to the first that is not used up.
    rows: Vec<FrontierRow>,
}

/// What one policy brings under one budget.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct FrontierRow {
    /// `none`, `evenkeel`, or `least-loaded`, which gives each arrival the emptiest of the next ticks.
    policy: &'static str,
    /// Ceiling for the mean delay; null where nobody levels. `least-loaded` looks ahead by this twice, less a tick, and may
    /// pass it.
    budget_ticks: Option<f64>,
    /// The same in seconds.
    budget_s: Option<f64>,
    /// Share of windows in the corridor.
    share: f64,
    /// Share of stretches as long as a window in the corridor, whatever tick they begin at.
    any_alignment: f64,
    /// Per minute the largest over resources of largest tick / mean tick; the median over minutes.
    peak_to_mean_60s: f64,
    /// Mean delay, where 1 is none added.
    mean_delay_ticks: f64,
    /// The same in seconds.
    mean_delay_s: f64,
    /// One in a hundred executions is delayed by more.
    p99_delay_ticks: u64,
    /// What keeps most windows out of the corridor by the plans; null when nothing does.
    binding: Option<String>,
    /// Whether most plans cut peaks alone.
    cuts_peaks: bool,
}

impl FrontierView {
    fn new(known: Known, lengths: Lengths) -> Self {
        let frontier = known.last.map(|made| Frontier::new(&made, lengths));
        let (state, note, progress) = match known.stage {
            Stage::Waiting(note) => (FrontierState::Waiting, Some(note), None),
            Stage::UnderWay(done, of) => {
                (FrontierState::Computing, None, Some(done as f64 / of.max(1) as f64))
            }
            Stage::Ready => (FrontierState::Ready, None, None),
        };
        Self { state, note, progress, frontier }
    }
}

impl Frontier {
    fn new(made: &Made, lengths: Lengths) -> Self {
        let [first, counted, Tick(end)] = made.span;
        Self {
            age_ms: made.at.elapsed().as_millis() as u64,
            first_tick: first.0,
            counted_from_tick: counted.0,
            last_tick: end.saturating_sub(1),
            tick_ms: lengths.tick_ms,
            complete: made.complete,
            rows: made.rows.iter().map(|row| FrontierRow::new(row, lengths)).collect(),
        }
    }
}

impl FrontierRow {
    fn new(((policy, budget), report): &(Asked, Report), lengths: Lengths) -> Self {
        let seconds = |ticks: f64| ticks * lengths.tick_ms as f64 / 1_000.0;
        let mean = report.delay_ticks.mean;
        let own = *policy == PolicyName::Evenkeel;
        Self {
            policy: policy.name(),
            budget_ticks: *budget,
            budget_s: budget.map(seconds),
            share: report.in_corridor,
            any_alignment: report.any_alignment,
            peak_to_mean_60s: report.peak_to_mean_60s,
            mean_delay_ticks: mean,
            mean_delay_s: seconds(mean),
            p99_delay_ticks: report.delay_ticks.p99,
            binding: report.binding.filter(|_| own && report.feasible_share < 0.5).map(|b| b.to_string()),
            cuts_peaks: own && report.only_peaks_share > 0.5,
        }
    }
}

/// Share and peak over delay for the last 6,000 ticks of load at most: what each delay budget would bring, beside the
/// simplest rule that cuts peaks. Made when somebody asks, at most once in ten minutes; `state` says how that stands.
#[utoipa::path(get, path = "/api/v1/frontier", tag = "status", responses((status = 200, body = FrontierView)))]
pub(super) async fn frontier(
    views: web::Data<Views>,
    frontiers: web::Data<Frontiers>,
    _: Query<NoParameters>,
) -> web::Json<FrontierView> {
    web::Json(FrontierView::new(frontiers.ask(&views), views.about.lengths))
}

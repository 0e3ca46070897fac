//! `GET /api/v1/shadow`: the database beside its twin, over the last hour and the last day.

use actix_web::web;
use evenkeel_core::{
    insight::shadow::{Comparison, Other, QueryComparison, ShadowReport, Summary},
    journal::Mode,
};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::dto::DelayTicks;
use crate::http::{
    Views,
    fields::{NoParameters, Query},
    problem::Problem,
};

/// What the twin shows.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum TwinKind {
    /// The database as `enforce` would have it.
    Enforced,
    /// The database as nobody levels it.
    Unlevelled,
}

/// The database beside its twin: the same arrivals, learned costs.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct ShadowView {
    /// What the twin shows.
    twin: TwinKind,
    /// The first tick that is compared.
    since_tick: u64,
    /// The first tick that is not compared yet.
    until_tick: u64,
    /// Length of a tick.
    tick_ms: u64,
    /// What keeps the twin out of the corridor by its last plan; null when nothing does.
    binding: Option<String>,
    /// Whether its plan cuts peaks where the corridor is out of reach.
    cuts_peaks: bool,
    /// The last hour, at most.
    hour: ComparisonView,
    /// The last day, at most.
    day: ComparisonView,
}

/// One stretch of time, twice.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct ComparisonView {
    /// As it was.
    actual: SummaryView,
    /// As it was in the twin.
    twin: SummaryView,
    /// The queries that ran most often, at most 100, the most frequent first.
    queries: Vec<QueryComparisonView>,
}

/// What a stretch of time came to.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub(crate) struct SummaryView {
    /// Windows that closed.
    windows: u64,
    /// Share of them in the corridor; null before the first.
    in_corridor: Option<f64>,
    /// Per minute the largest over resources of largest tick / mean tick, the median over whole minutes; null before the
    /// first.
    peak_to_mean_60s: Option<f64>,
    /// Executions that ran.
    executed: u64,
    /// Their delays; null when there were none.
    delay_ticks: Option<DelayTicks>,
}

/// Delays of one query, twice.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub(crate) struct QueryComparisonView {
    query: Uuid,
    /// Executions, as it was.
    executed: u64,
    /// As it was.
    actual: Option<DelayTicks>,
    /// In the twin.
    twin: Option<DelayTicks>,
}

impl ShadowView {
    fn new(report: &ShadowReport, tick_ms: u64) -> Self {
        Self {
            twin: match report.other {
                Other::Enforced => TwinKind::Enforced,
                Other::Unlevelled => TwinKind::Unlevelled,
            },
            since_tick: report.since.0,
            until_tick: report.until.0,
            tick_ms,
            binding: report.feasibility.and_then(|said| said.binding).map(|binding| binding.to_string()),
            cuts_peaks: report.feasibility.is_some_and(|said| said.cuts_peaks),
            hour: (&report.hour).into(),
            day: (&report.day).into(),
        }
    }
}

impl From<&Comparison> for ComparisonView {
    fn from(Comparison { actual, twin, queries }: &Comparison) -> Self {
        let queries = queries.iter().map(Into::into).collect();
        Self { actual: actual.into(), twin: twin.into(), queries }
    }
}

impl From<&Summary> for SummaryView {
    fn from(summary: &Summary) -> Self {
        let Summary { windows, in_corridor, peak_to_mean_60s, executed, delays } = *summary;
        Self { windows, in_corridor, peak_to_mean_60s, executed, delay_ticks: delays.map(Into::into) }
    }
}

impl From<&QueryComparison> for QueryComparisonView {
    fn from(compared: &QueryComparison) -> Self {
        let QueryComparison { query, executed, actual, twin } = *compared;
        Self { query: query.0, executed, actual: actual.map(Into::into), twin: twin.map(Into::into) }
    }
}

/// The database beside its twin. In mode `shadow` the twin is levelled as `enforce` would do it, in `enforce` nobody levels it.
#[utoipa::path(get, path = "/api/v1/shadow", tag = "status",
    responses((status = 200, body = ShadowView), (status = 404, body = Problem, content_type = "application/problem+json")))]
pub(super) async fn shadow(
    views: web::Data<Views>,
    _: Query<NoParameters>,
) -> Result<web::Json<ShadowView>, Problem> {
    let told = views.told.borrow().clone();
    let report = told.as_ref().and_then(|told| told.report.shadow.as_ref());
    let tick_ms = views.about.lengths.tick_ms;
    let view = report.map(|report| ShadowView::new(report, tick_ms)).ok_or_else(|| absent(&views));
    Ok(web::Json(view?))
}

fn absent(views: &Views) -> Problem {
    let mode = views.queue.borrow().as_ref().map(|queue| queue.mode);
    Problem::not_found(match mode {
        Some(Mode::Off) => {
            "nothing is compared while the mode is `off`: `evenkeel mode set shadow` compares without effect".to_owned()
        }
        _ => "nothing has been compared yet: the client compares every ten windows, ten seconds at the default pace"
            .to_owned(),
    })
}

//! `GET /api/v1/resources`, `…/history`: utilisation as it was, as it was expected, and as it would have been.

use std::sync::Arc;

use actix_web::web;
use evenkeel_actors::messages::GetSteps;
use evenkeel_core::{
    insight::recap::{HISTORY_WINDOWS_MAX, Spans, Step},
    units::{lengths::Lengths, tick::Tick},
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::dto::Point;
use crate::http::{
    Views,
    fields::{Field, Kind, NoParameters, Parameters, Query},
    integers::INTEGER_MAX,
    problem::Problem,
};

/// Most points of one answer: an hour of windows, about 1.5 MB.
const POINTS_MAX: usize = 3_600;

/// The last window.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Now {
    /// Null before the first has closed.
    window: Option<Point>,
}

/// The last closed window.
#[utoipa::path(get, path = "/api/v1/resources", tag = "utilisation", responses((status = 200, body = Now)))]
pub(super) async fn now(views: web::Data<Views>, _: Query<NoParameters>) -> web::Json<Now> {
    let overview = Arc::clone(&views.overview.borrow());
    web::Json(Now { window: overview.steps.last().map(Into::into) })
}

/// Which stretch of history.
#[derive(Clone, Copy, Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct Stretch {
    /// Windows that begin at this tick or later; by default those of five minutes.
    #[param(maximum = 9_007_199_254_740_992_u64)]
    from_tick: Option<u64>,
    /// Windows that begin at this tick or earlier; by default up to now.
    #[param(maximum = 9_007_199_254_740_992_u64)]
    to_tick: Option<u64>,
    /// Windows in a step.
    #[param(minimum = 1, maximum = 21600, default = 1)]
    #[serde(default = "one")]
    step_windows: u64,
}

impl Parameters for Stretch {
    const FIELDS: &'static [Field] = &[
        Field::optional("from_tick", Kind::Integer { min: 0, max: INTEGER_MAX }),
        Field::optional("to_tick", Kind::Integer { min: 0, max: INTEGER_MAX }),
        Field::optional("step_windows", Kind::Integer { min: 1, max: HISTORY_WINDOWS_MAX }),
    ];
}

fn one() -> u64 {
    1
}

/// Utilisation over time: average, smallest and largest tick of each step.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct History {
    /// Windows in a step; the last one may have fewer.
    step_windows: u64,
    /// Oldest first. Six hours are remembered; the journal has the rest.
    points: Vec<Point>,
}

/// Utilisation over time: average, smallest and largest tick of each step, never plain averages.
#[utoipa::path(get, path = "/api/v1/resources/history", tag = "utilisation", params(Stretch),
    responses((status = 200, body = History), (status = 400, body = Problem, content_type = "application/problem+json")))]
pub(super) async fn history(
    views: web::Data<Views>,
    Query(stretch): Query<Stretch>,
) -> Result<web::Json<History>, Problem> {
    let steps = match stretch.range(views.about.lengths)? {
        None => Arc::clone(&views.overview.borrow()).steps.to_vec(),
        Some((from, to)) => {
            let asked = views.steps.send(GetSteps { from, to }).await;
            asked.map_err(|_| Problem::unavailable("the history is being read from the journal"))?
        }
    };
    let points = points(&steps, stretch.step_windows * views.about.lengths.window_ticks)?;
    Ok(web::Json(History { step_windows: stretch.step_windows, points }))
}

impl Stretch {
    /// The ticks at which its windows begin; none where it is left open on both sides.
    fn range(&self, lengths: Lengths) -> Result<Option<(Tick, Tick)>, Problem> {
        if let (Some(from), Some(to)) = (self.from_tick, self.to_tick)
            && from > to
        {
            return Err(Problem::bad_request(format!(
                "from `from_tick` {from} to `to_tick` {to} there is nothing: expected a `to_tick` of {from} or later"
            )));
        }
        if self.from_tick.is_none() && self.to_tick.is_none() {
            return Ok(None);
        }
        let to = self.to_tick.unwrap_or(u64::MAX);
        let recent = Spans::of(lengths).recent as u64;
        let first_of_last = || to.saturating_sub((recent - 1) * lengths.window_ticks);
        Ok(Some((Tick(self.from_tick.unwrap_or_else(first_of_last)), Tick(to))))
    }
}

fn points(steps: &[Step], step_ticks: u64) -> Result<Vec<Point>, Problem> {
    let points: Vec<Point> = steps.iter().map(Into::into).collect();
    // Steps are aligned to ticks, so that the same stretch gives the same steps later.
    let points: Vec<_> = points
        .chunk_by(|a, b| a.first_tick / step_ticks == b.first_tick / step_ticks)
        .filter_map(Point::together)
        .collect();
    if points.len() > POINTS_MAX {
        return Err(Problem::bad_request(format!(
            "these are {} points: at most {POINTS_MAX} fit into one answer; ask for a shorter stretch or longer steps",
            points.len()
        )));
    }
    Ok(points)
}

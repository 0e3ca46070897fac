//! `GET /api/v1/minutes`: a day minute by minute, also of before a restart.

use actix_web::web;
use evenkeel_actors::messages::GetMinutes;
use evenkeel_core::insight::minutes::MINUTES;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::dto::Point;
use crate::http::{
    Views,
    fields::{Field, Kind, Parameters, Query},
    problem::Problem,
};

/// How many.
#[derive(Clone, Copy, Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct Last {
    /// Minutes, the last ones.
    #[param(minimum = 1, maximum = 1440, default = 1440)]
    #[serde(default = "day")]
    last: usize,
}

impl Parameters for Last {
    const FIELDS: &'static [Field] =
        &[Field::optional("last", Kind::Integer { min: 1, max: MINUTES as u64 })];
}

fn day() -> usize {
    MINUTES
}

/// Minutes of the wall clock.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MinutesBody {
    /// Oldest first; the last one has not ended. Of what waited, each has the most and the longest.
    points: Vec<Point>,
}

/// A day minute by minute, also of before a restart: utilisation, queue, delay and what levelling brought.
#[utoipa::path(get, path = "/api/v1/minutes", tag = "utilisation", params(Last),
    responses((status = 200, body = MinutesBody), (status = 400, body = Problem, content_type = "application/problem+json")))]
pub(super) async fn minutes(
    views: web::Data<Views>,
    Query(Last { last }): Query<Last>,
) -> Result<web::Json<MinutesBody>, Problem> {
    let minutes = views.minutes.send(GetMinutes { last }).await;
    let minutes = minutes.map_err(|_| Problem::unavailable("the history is being read from the journal"))?;
    Ok(web::Json(MinutesBody { points: minutes.iter().map(Into::into).collect() }))
}

//! `GET`, `PUT /api/v1/mode`: who decides when executions run.

use actix_web::web;
use evenkeel_actors::messages::{AppendError, Lost, SetMode, SetModeRefused};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::status::ModeName;
use crate::http::{
    Views,
    fields::{Body, Field, Kind, NoParameters, Query},
    problem::Problem,
};

/// Largest body of a `PUT`: a word, with room for white space.
pub(super) const MODE_BYTES_MAX: usize = 1_024;

/// Who decides.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ModeBody {
    mode: ModeName,
}

/// The same, for what is told about a body that is none.
const MODE: Body = Body {
    fields: &[Field::required("mode", Kind::OneOf(&["off", "shadow", "enforce"]))],
    refuses_unknown: true,
};

/// Who decides when executions run.
#[utoipa::path(get, path = "/api/v1/mode", tag = "mode", responses((status = 200, body = ModeBody)))]
pub(super) async fn get(
    views: web::Data<Views>,
    _: Query<NoParameters>,
) -> Result<web::Json<ModeBody>, Problem> {
    let queue = views.queue.borrow().clone().ok_or_else(|| Problem::unavailable(Lost))?;
    Ok(web::Json(ModeBody { mode: queue.mode.into() }))
}

/// Changes who decides; answered once that is durable.
#[utoipa::path(put, path = "/api/v1/mode", tag = "mode", request_body = ModeBody,
    responses((status = 200, body = ModeBody), (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 413, body = Problem, content_type = "application/problem+json")))]
pub(super) async fn put(
    views: web::Data<Views>,
    _: Query<NoParameters>,
    body: Result<web::Bytes, actix_web::Error>,
) -> Result<web::Json<ModeBody>, Problem> {
    let body = body.map_err(|error| Problem::from_payload(&error, MODE_BYTES_MAX))?;
    let wanted: ModeBody = MODE.read(&body)?;
    match views.set_mode.send(SetMode(wanted.mode.into())).await {
        Ok(Ok(())) => {
            tracing::info!(mode = ?wanted.mode, "the mode was set over HTTP");
            Ok(web::Json(wanted))
        }
        Ok(Err(SetModeRefused::NotRecorded(AppendError::Unknown))) | Err(_) => {
            Err(Problem::outcome_unknown())
        }
        Ok(Err(refused)) => Err(Problem::unavailable(refused)),
    }
}

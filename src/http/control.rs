//! `POST /api/v1/control`: evenkeel's own client renews its lease and places slots.

use actix_web::{HttpResponse, http::StatusCode, web};
use evenkeel_actors::messages::{Control, ControlRefused};
use evenkeel_core::control::{ControlError, ControlRequest};

use super::{CONTROL_BYTES_MAX, Views, problem::Problem};

pub(super) async fn control(
    views: web::Data<Views>,
    body: Result<web::Bytes, actix_web::Error>,
) -> Result<HttpResponse, Problem> {
    let body = body.map_err(|error| Problem::from_payload(&error, CONTROL_BYTES_MAX))?;
    let request: ControlRequest = serde_json::from_slice(&body).map_err(|error| {
        Problem::bad_request(format!(
            "the body is not {{client, epoch, lease_ticks, set: [{{execution, due_tick, reason}}]}}: {error}"
        ))
    })?;
    match views.control.send(Control(request)).await {
        Err(_) => Err(Problem::outcome_unknown()),
        Ok(Ok(response)) => Ok(HttpResponse::Ok().json(response)),
        Ok(Err(error @ (ControlRefused::Lost(_) | ControlRefused::Unreachable(_)))) => {
            Err(Problem::unavailable(error))
        }
        Ok(Err(ControlRefused::Invalid(error))) => Err(match &error {
            ControlError::Fenced { holder, current, .. } => {
                Problem::new(StatusCode::CONFLICT, &error).with_holder(holder, *current)
            }
            _ => Problem::bad_request(error),
        }),
    }
}

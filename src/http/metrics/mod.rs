//! `GET /metrics`: numbers for Prometheus, in the `OpenMetrics` form. Labels take only values that are known here.

mod client;
mod requests;
mod server;
mod write;

use actix_web::{HttpResponse, web};
use prometheus_client::{encoding::text::encode, registry::Registry};

pub(super) use self::{
    client::ClientNumbers,
    requests::{Requests, literal},
    server::{Actors, ServerNumbers},
};
use super::problem::Problem;

/// As the `OpenMetrics` specification names it.
const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Everything that is measured.
pub(super) type Numbers = Registry;

/// An empty registry whose metrics begin with the program's name.
pub(super) fn registry() -> Numbers {
    Registry::with_prefix("evenkeel")
}

/// Numbers for Prometheus, in the `OpenMetrics` form.
#[utoipa::path(get, path = "/metrics", tag = "status",
    responses((status = 200, body = String, content_type = "application/openmetrics-text")))]
pub(super) async fn serve(numbers: web::Data<Numbers>) -> Result<HttpResponse, Problem> {
    let mut text = String::new();
    encode(&mut text, &numbers).map_err(|_| Problem::unavailable("the numbers cannot be written"))?;
    Ok(HttpResponse::Ok().content_type(CONTENT_TYPE).body(text))
}

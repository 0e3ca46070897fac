//! `/api/v1`: what people and their programs see of evenkeel. The document at `openapi.json` is made from this code.

#![allow(unused_qualifications, reason = "utoipa's macros qualify what they name")]
#![allow(clippy::struct_field_names, reason = "these are names of JSON fields")]

mod actors;
mod decisions;
mod dto;
mod events;
mod executions;
mod journal;
mod mode;
mod openapi;
mod queries;
mod queued;
mod resources;
mod status;

use actix_web::{
    http::Method,
    web::{self, PayloadConfig, ServiceConfig},
};

pub(super) use self::{
    events::Frames,
    status::{Capture, ModeName},
};
use super::problem::method_not_allowed;

pub(super) fn routes(config: &mut ServiceConfig) {
    let read = |path, handler: actix_web::Route| {
        web::resource(path).route(handler).default_service(method_not_allowed(&[Method::GET]))
    };
    let mode = web::resource("/api/v1/mode")
        .app_data(PayloadConfig::new(mode::MODE_BYTES_MAX))
        .route(web::get().to(mode::get))
        .route(web::put().to(mode::put))
        .default_service(method_not_allowed(&[Method::GET, Method::PUT]));
    config
        .service(read("/api/v1/status", web::get().to(status::status)))
        .service(read("/api/v1/resources", web::get().to(resources::now)))
        .service(read("/api/v1/resources/history", web::get().to(resources::history)))
        .service(read("/api/v1/queued", web::get().to(queued::queued)))
        .service(read("/api/v1/queries", web::get().to(queries::list)))
        .service(read("/api/v1/queries/{id}", web::get().to(queries::one)))
        .service(read("/api/v1/executions", web::get().to(executions::executions)))
        .service(read("/api/v1/decisions/{execution}", web::get().to(decisions::explain)))
        .service(mode)
        .service(read("/api/v1/journal", web::get().to(journal::journal)))
        .service(read("/api/v1/actors", web::get().to(actors::actors)))
        .service(read("/api/v1/events", web::get().to(events::events)))
        .service(read("/api/v1/openapi.json", web::get().to(openapi::serve)))
        .service(read("/api/docs", web::get().to(openapi::to_pages)))
        .service(openapi::pages());
}

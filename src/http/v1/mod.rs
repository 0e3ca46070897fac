//! `/api/v1`: what people and their programs see of evenkeel. The document at `openapi.json` is made from this code.

#![allow(unused_qualifications, reason = "utoipa's macros qualify what they name")]
#![allow(clippy::struct_field_names, reason = "these are names of JSON fields")]

mod actors;
mod decisions;
mod dto;
mod events;
mod executions;
mod frontier;
mod journal;
mod minutes;
mod mode;
mod openapi;
mod queries;
mod queued;
mod resources;
mod running;
mod shadow;
mod statements;
mod status;
#[cfg(test)]
mod tests;

#[cfg(test)]
pub(super) use self::openapi::document;
pub(super) use self::{
    events::Frames,
    frontier::Frontiers,
    status::{Capture, LeaseView, ModeName},
};
use super::{
    access::Needs,
    routes::{Resource, Routes},
};

pub(super) fn add(routes: &mut Routes<'_>) {
    routes
        .add(Resource::at("/api/v1/status").get(Needs::READ, status::status))
        .add(Resource::at("/api/v1/shadow").get(Needs::READ, shadow::shadow))
        .add(Resource::at("/api/v1/frontier").get(Needs::READ, frontier::frontier))
        .add(Resource::at("/api/v1/resources").get(Needs::READ, resources::now))
        .add(Resource::at("/api/v1/resources/history").get(Needs::READ, resources::history))
        .add(Resource::at("/api/v1/minutes").get(Needs::READ, minutes::minutes))
        .add(Resource::at("/api/v1/queued").get(Needs::READ, queued::queued))
        .add(Resource::at("/api/v1/running").get(Needs::READ, running::running))
        .add(Resource::at("/api/v1/queries").get(Needs::READ, queries::list))
        .add(Resource::at("/api/v1/queries/{id}").get(Needs::READ, queries::one))
        .add(Resource::at("/api/v1/executions").get(Needs::READ, executions::executions))
        .add(Resource::at("/api/v1/decisions/{execution}").get(Needs::READ, decisions::explain))
        .add(Resource::at("/api/v1/mode").get(Needs::READ, mode::get).put(
            Needs::ADMIN,
            mode::MODE_BYTES_MAX,
            mode::put,
        ))
        .add(Resource::at("/api/v1/journal").get(Needs::READ, journal::journal))
        .add(Resource::at("/api/v1/actors").get(Needs::READ, actors::actors))
        .add(Resource::at("/api/v1/events").get(Needs::READ, events::events))
        .add(Resource::at("/api/v1/openapi.json").get(Needs::READ, openapi::serve))
        .add(Resource::at("/api/docs").get(Needs::READ, openapi::to_pages))
        .add(Resource::at("/api/docs/{file:.*}").get(Needs::READ, openapi::page));
}

//! The slice of the server's half: the queue, the journal, what was learned, the page.

use actix_web::{http::Method, web};
use prometheus_client::registry::Registry;
use serde_json::json;

use super::{
    CONTROL_BYTES_MAX, DELAY_BYTES_MAX, Views,
    access::{self, Needs},
    control, health, metrics, page,
    routes::{Resource, Routes},
    slice::{Readiness, Slice},
    v1::{self, LeaseView},
    wire,
};
use crate::tokens::Scope;

/// Two threads serve a database's control plane.
const THREADS: usize = 2;

/// See the module.
pub(crate) struct ServerSlice {
    views: Views,
    frames: v1::Frames,
    frontiers: v1::Frontiers,
}

impl ServerSlice {
    /// Answers from `views`.
    pub(crate) fn new(views: Views) -> Self {
        Self { views, frames: v1::Frames::default(), frontiers: v1::Frontiers::default() }
    }
}

impl Slice for ServerSlice {
    fn routes(&self, routes: &mut Routes<'_>) {
        routes
            .data(self.views.clone())
            .data(self.frames.clone())
            .data(self.frontiers.clone())
            .data(wire::Rendered::default())
            // What is asked for all the time is looked for first.
            .add(Resource::at("/queued").get(Needs::Wire(Scope::Read), wire::queued))
            .add(Resource::at("/resources").get(Needs::Wire(Scope::Read), wire::resources))
            .add(Resource::at("/delay").post(Needs::Wire(Scope::Control), DELAY_BYTES_MAX, wire::delay))
            .add(Resource::at("/api/v1/control").post(Needs::CONTROL, CONTROL_BYTES_MAX, control::control))
            .add(Resource::at("/api/v1/session").get(Needs::READ, access::session))
            .add(Resource::at("/login").on(&page::READS, Needs::Nothing, None, page::index_route()).post(
                Needs::Nothing,
                access::LOGIN_BYTES_MAX,
                access::login,
            ))
            .add(Resource::at("/logout").on(&[Method::POST], Needs::Nothing, None, web::to(access::logout)));
        page::add(routes);
        v1::add(routes);
    }

    fn metrics(&self, registry: &mut Registry) {
        let (views, frames) = (self.views.clone(), self.frames.clone());
        registry.register_collector(Box::new(metrics::ServerNumbers { views, frames }));
    }

    fn readiness(&self, readiness: &mut Readiness) {
        readiness.reasons.extend(health::not_ready(&self.views));
        readiness.degraded.extend(self.views.degraded.borrow().iter().cloned());
        readiness.says.insert("lease".to_owned(), json!(LeaseView::last(&self.views)));
    }

    fn threads(&self) -> usize {
        THREADS
    }
}

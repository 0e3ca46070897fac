//! The slice of the front before a real database: its numbers, and what keeps its clients from their work.

use std::sync::Arc;

use evenkeel_actors::postgres::{front::Counters, pacing::PacingView};
use prometheus_client::registry::Registry;
use tokio::sync::watch;

use super::{
    degraded::Degraded,
    metrics,
    routes::Routes,
    slice::{Readiness, Slice},
};

/// What it answers from.
#[derive(Clone)]
pub struct ClientsViews {
    /// How the front goes.
    pub counters: Counters,
    /// Whether the database answers evenkeel itself; none before it was asked.
    pub reachable: watch::Receiver<Option<bool>>,
    /// How held statements are timed.
    pub pacing: watch::Receiver<Arc<PacingView>>,
    /// What works less well than it should.
    pub degraded: watch::Receiver<Degraded>,
}

/// See the module.
pub(crate) struct ClientsSlice(pub(crate) ClientsViews);

impl Slice for ClientsSlice {
    /// None of its own: what runs and waits is the server's to tell.
    fn routes(&self, _routes: &mut Routes<'_>) {}

    fn metrics(&self, registry: &mut Registry) {
        registry.register_collector(Box::new(metrics::ClientsNumbers(self.0.clone())));
    }

    /// A database that is away is no reason to restart evenkeel, nor to take it out of service: its clients are told.
    fn readiness(&self, readiness: &mut Readiness) {
        readiness.degraded.extend(self.0.degraded.borrow().iter().cloned());
    }
}

//! A slice is one capability of the program. Here is what is asked of it over HTTP, in one place: its routes, its
//! metrics and what keeps it from its work. A process serves the slices that its role lists ([`super::serve`]).
//!
//! ```text
//!                      ┌─ routes     each with the scope that it needs, decided on the matched route
//! role ─▶ [ slice, … ] ┼─ metrics    ─▶ /metrics
//!                      └─ readiness  ─▶ /readyz, /api/v1/status, events: all of them ask Slices::readiness
//! ```
//! What a slice does without being asked, its actors, is [`Work`](crate::run) of the process.

use std::sync::Arc;

use prometheus_client::registry::Registry;
use serde_json::{Map, Value};

use super::{degraded::Degraded, routes::Routes};

/// See the module.
pub(crate) trait Slice: Send + Sync {
    /// Adds its routes, and what their handlers answer from. Called once for each thread that serves.
    fn routes(&self, routes: &mut Routes<'_>);

    /// Adds its metrics.
    fn metrics(&self, registry: &mut Registry);

    /// Adds what keeps it from its work.
    fn readiness(&self, readiness: &mut Readiness);

    /// Threads that serve it well. A process has as many as the slice that wants most.
    fn threads(&self) -> usize {
        1
    }
}

/// Whether a process does its work.
#[derive(Debug, Default)]
pub(crate) struct Readiness {
    /// What keeps it from that, in sentences; nothing does when there is none.
    pub(crate) reasons: Vec<String>,
    /// What works less well than it should.
    pub(crate) degraded: Degraded,
    /// What else `/readyz` says while the process is ready.
    pub(crate) says: Map<String, Value>,
}

/// All slices of a process.
#[derive(Clone)]
pub(crate) struct Slices(Arc<[Arc<dyn Slice>]>);

impl Slices {
    /// These, in this order: routes of the first are looked for first.
    pub(crate) fn new(slices: Vec<Arc<dyn Slice>>) -> Self {
        Self(slices.into())
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &dyn Slice> {
        self.0.iter().map(|slice| &**slice)
    }

    /// Of all of them together.
    pub(super) fn readiness(&self) -> Readiness {
        let mut readiness = Readiness::default();
        self.iter().for_each(|slice| slice.readiness(&mut readiness));
        readiness
    }

    /// As many as the one that wants most.
    pub(super) fn threads(&self) -> usize {
        self.iter().map(Slice::threads).max().unwrap_or(1)
    }
}

//! What every process answers, whatever its slices: whether it lives, whether it does its work, its numbers.

use std::sync::Arc;

use actix_web::web;
use evenkeel_actors::supervise::health::Roster;

use super::{
    access::Needs,
    health,
    metrics::{self, Requests},
    routes::{Resource, Routes},
    slice::Slices,
};

/// See the module.
#[derive(Clone)]
pub(super) struct Process {
    slices: Slices,
    numbers: Arc<metrics::Numbers>,
}

impl Process {
    /// The process with these slices and actors, whose requests are counted in `requests`.
    pub(super) fn new(slices: Slices, actors: Roster, requests: Requests) -> Self {
        let mut numbers = metrics::registry();
        numbers.register_collector(Box::new(metrics::Condition(slices.clone())));
        slices.iter().for_each(|slice| slice.metrics(&mut numbers));
        numbers.register_collector(Box::new(metrics::Actors(actors)));
        numbers.register_collector(Box::new(metrics::Outputs));
        numbers.register_collector(Box::new(requests));
        Self { slices, numbers: Arc::new(numbers) }
    }

    /// Adds all routes of the process: its slices' first, of which some are asked for all the time.
    pub(super) fn routes(&self, routes: &mut Routes<'_>) {
        self.slices.iter().for_each(|slice| slice.routes(routes));
        routes
            .data(self.slices.clone())
            .shared(web::Data::from(Arc::clone(&self.numbers)))
            .add(Resource::at("/healthz").get(Needs::Nothing, health::healthz))
            .add(Resource::at("/readyz").get(Needs::Nothing, health::readyz))
            .add(Resource::at("/metrics").get(Needs::READ, metrics::serve));
    }

    /// Threads that serve it.
    pub(super) fn threads(&self) -> usize {
        self.slices.threads()
    }
}

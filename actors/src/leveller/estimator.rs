//! Estimator: learns what each query costs.
//!
//! In: [`Batch`] from the consumer, in journal order; [`GetEstimator`] and [`RestoreEstimator`]. Out:
//! [`Learned`] to the scheduler, whose answer is passed back.
//!
//! Invariant: its state is the fold over the entries up to the consumer's positions, or it says `Lost`.

use std::sync::Arc;

use actix::{
    Actor, ActorFutureExt, Context, Handler, MessageResult, ResponseActFuture, Supervised, WrapFuture,
};
use evenkeel_core::{
    estimator::{Estimates, Estimator as Core},
    journal::{Entry, Record},
};

use crate::{
    messages::{Batch, GetEstimator, LearnError, Learned, Lost, RestoreEstimator},
    supervise::{fault, health::ActorHealth, port::Port},
};

/// See the module.
pub struct Estimator {
    core: Option<Core>,
    estimates: Arc<Estimates>,
    scheduler: Port<Learned>,
    health: ActorHealth,
}

impl Estimator {
    /// An estimator that waits to be restored.
    pub fn new(scheduler: Port<Learned>, health: ActorHealth) -> Self {
        Self { core: None, estimates: Arc::default(), scheduler, health }
    }

    /// Learns from what was read: where observations are given, from these instead of from entries.
    fn apply(&mut self, batch: &Batch) -> Result<(), Lost> {
        let core = self.core.as_mut().ok_or(Lost)?;
        let is_window = |entry: &Entry| matches!(entry.record, Record::Window(_));
        let news = if let Some(observed) = &batch.observed {
            observed.iter().for_each(|observation| core.observe(observation));
            !observed.is_empty()
        } else {
            batch.entries.iter().for_each(|entry| core.apply(&entry.record));
            batch.entries.iter().any(is_window)
        };
        if news {
            self.estimates = Arc::new(core.estimates().clone());
        }
        Ok(())
    }

    fn lose_state(&mut self) {
        self.core = None;
        self.health.set_recovering(true);
    }
}

impl Actor for Estimator {
    type Context = Context<Self>;

    fn started(&mut self, _context: &mut Self::Context) {
        self.lose_state();
    }
}

impl Supervised for Estimator {
    fn restarting(&mut self, _context: &mut Self::Context) {
        self.lose_state();
    }
}

impl Handler<Batch> for Estimator {
    type Result = ResponseActFuture<Self, Result<(), LearnError>>;

    fn handle(&mut self, batch: Batch, _context: &mut Self::Context) -> Self::Result {
        fault::handling!("estimator");
        if let Err(lost) = self.apply(&batch) {
            return Box::pin(actix::fut::ready(Err(lost.into())));
        }
        let learned = Learned { batch, estimates: Arc::clone(&self.estimates) };
        let passed_on = self.scheduler.send(learned);
        Box::pin(
            passed_on
                .into_actor(self)
                .map(|answer, _actor, _context| answer.unwrap_or(Err(LearnError::Failed("scheduler")))),
        )
    }
}

impl Handler<GetEstimator> for Estimator {
    type Result = Result<Core, Lost>;

    fn handle(&mut self, _: GetEstimator, _context: &mut Self::Context) -> Self::Result {
        self.core.clone().ok_or(Lost)
    }
}

impl Handler<RestoreEstimator> for Estimator {
    type Result = MessageResult<RestoreEstimator>;

    fn handle(
        &mut self,
        RestoreEstimator(core): RestoreEstimator,
        _context: &mut Self::Context,
    ) -> Self::Result {
        self.estimates = Arc::new(core.estimates().clone());
        self.core = Some(core);
        self.health.set_recovering(false);
        MessageResult(())
    }
}

//! One tick's way through the actors.

use std::{cell::RefCell, rc::Rc, sync::Arc};

use evenkeel_core::{
    journal::{QueryText, Recovered, Released},
    server::{
        queue::Arrival,
        steps::{Action, Steps, TickUsage},
    },
    units::ids::ExecutionId,
};

use super::Ports;
use crate::{
    messages::{Advance, AdvanceError, AppendError, Measure, MeasureError, Recover, Restore},
    ports::database::{Measured, TickUsed},
    supervise::fault,
};

/// Why a tick did not happen.
#[derive(Debug, thiserror::Error)]
pub(super) enum StepError {
    #[error("the {0} failed on it")]
    Mailbox(&'static str),
    #[error(transparent)]
    Measure(#[from] MeasureError),
    #[error(transparent)]
    Advance(#[from] AdvanceError),
    #[error("the journal could not be read: {0}")]
    Recover(#[from] AppendError),
    #[error("the database failed: {0}")]
    Database(#[from] std::io::Error),
}

/// One tick's way through the actors, or the recovery that takes its place.
pub(super) struct Step {
    pub(super) ports: Arc<Ports>,
    pub(super) database: Rc<RefCell<Box<dyn Measured>>>,
    pub(super) steps: Steps,
    pub(super) at_ms: u64,
    pub(super) arrivals: Vec<Arrival>,
    /// Texts that are not known to be recorded.
    pub(super) texts: Vec<QueryText>,
    /// Arrivals of which it is not known whether they are recorded: of this tick, and of those that failed before it.
    pub(super) unsure: Vec<ExecutionId>,
    /// What came and is not recorded, and what waited and has been given up.
    pub(super) refused: Vec<ExecutionId>,
    /// Whether a tick has become durable, with its arrivals and texts.
    pub(super) recorded: bool,
    /// What was released and has no outcome, when this was a recovery of a database whose outcomes are uncertain.
    pub(super) unresolved: Option<Vec<Released>>,
}

/// What came of it.
pub(super) struct Done {
    pub(super) steps: Steps,
    /// Whether it was a tick.
    pub(super) ticked: bool,
    /// See [`Step::unresolved`].
    pub(super) unresolved: Option<Vec<Released>>,
    /// See [`Step::recorded`].
    pub(super) recorded: bool,
    /// See [`Step::refused`].
    pub(super) refused: Vec<ExecutionId>,
    pub(super) failed: Option<StepError>,
}

impl Step {
    pub(super) async fn run(mut self) -> Done {
        let ticked = self.steps.due().is_some();
        loop {
            let waited = matches!(self.steps.action(), Action::Await(_));
            if let Err(cause) = self.next().await {
                self.steps.failed();
                return self.done(ticked, Some(cause));
            }
            // What is not told yet is asked for again when the next tick would be due.
            if self.steps.due().is_some() || matches!(self.steps.action(), Action::Await(_)) && waited {
                return self.done(ticked, None);
            }
        }
    }

    fn done(self, ticked: bool, failed: Option<StepError>) -> Done {
        let Self { steps, unresolved, recorded, refused, .. } = self;
        Done { steps, ticked, unresolved, recorded, refused, failed }
    }

    fn is_uncertain(&self) -> bool {
        self.database.borrow().is_uncertain()
    }

    async fn next(&mut self) -> Result<(), StepError> {
        match self.steps.action() {
            Action::Recover => self.recover().await?,
            Action::Measure(usage) => {
                let measured = self.ports.monitor.send(self.measure(usage)).await;
                self.steps.measured(measured.map_err(|_| StepError::Mailbox("monitor"))??);
            }
            Action::Advance(tick, measured) => {
                let arrivals = std::mem::take(&mut self.arrivals);
                let (at_ms, texts) = (self.at_ms, std::mem::take(&mut self.texts));
                let batch = self.ports.queue.send(Advance { tick, at_ms, arrivals, texts, measured }).await;
                self.steps.advanced(batch.map_err(|_| StepError::Mailbox("queue"))??);
                self.recorded = true;
            }
            Action::Start(tick, batch) => {
                self.database.borrow_mut().start(tick, batch)?;
                fault::point!("after-effect");
                if self.is_uncertain() { self.steps.released() } else { self.steps.sent() }
            }
            Action::Await(_) => {
                let mut database = self.database.borrow_mut();
                // An execution's entry has said how it ends since before it was started: see `Database::is_uncertain`.
                database.finished()?;
                for TickUsed { tick, usage } in database.used()? {
                    self.steps.used(tick, usage);
                }
            }
        }
        Ok(())
    }

    async fn recover(&mut self) -> Result<(), StepError> {
        let recovered = self.ports.journal.send(Recover).await;
        let recovered = recovered.map_err(|_| StepError::Mailbox("journal"))??;
        let sending = self.database.borrow().sending();
        for port in &self.ports.restore {
            let restored = port.send(Restore { recovered: Arc::clone(&recovered), sending }).await;
            self.refused.extend(restored.map_err(|_| StepError::Mailbox("queue or monitor"))?);
        }
        self.refuse_what_is_not_there(&recovered);
        if self.is_uncertain() {
            self.steps.recovered_once(&recovered);
            self.unresolved = Some(recovered.released.clone());
        } else {
            self.steps.recovered(&recovered);
        }
        Ok(())
    }

    /// Of what came in a tick that failed, what is durable waits, and the rest never will.
    fn refuse_what_is_not_there(&mut self, recovered: &Recovered) {
        let waits = |execution: &ExecutionId| {
            recovered.queue.binary_search_by_key(execution, |queued| queued.execution).is_ok()
        };
        self.refused
            .extend(std::mem::take(&mut self.unsure).into_iter().filter(|execution| !waits(execution)));
    }

    /// What the monitor is to know before the next tick. A probe that cannot be asked holds up no tick where usage may come
    /// late: what it never tells is unknown.
    fn measure(&self, usage: Option<TickUsage>) -> Measure {
        match self.steps.due().filter(|_| self.is_uncertain()) {
            Some(begins) => {
                let told = self.database.borrow_mut().used().unwrap_or_else(|cause| {
                    tracing::debug!(%cause, %begins, "the probe tells no usage");
                    Vec::new()
                });
                Measure::Late { begins, told }
            }
            None => Measure::Exact(usage),
        }
    }
}

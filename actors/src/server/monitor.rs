//! Monitor: sums what ticks use into windows of ten.
//!
//! In: [`Measure`] from the daemon, [`Restore`] after a failure. Out: the answer, which goes into the
//! commit of the tick that begins.
//!
//! Invariant: it has exactly the usage of all ticks before the one that begins.

use std::sync::Arc;

use actix::{Actor, Context, Handler, MessageResult, Supervised};
use evenkeel_core::{
    server::meter::Meter,
    units::{
        lengths::Lengths,
        window::{Measured, Window},
    },
};
use tokio::sync::watch;

use crate::{
    clock::Clock,
    messages::{Lost, Measure, MeasureError, Restore},
    ports::database::TickUsed,
    supervise::{fault, health::ActorHealth},
};

/// The last closed window, for `GET /resources`; none before the first.
pub type LastWindow = Option<Arc<ClosedWindow>>;

/// A closed window, and when it closed.
#[derive(Clone, Copy, Debug)]
pub struct ClosedWindow {
    /// The window.
    pub window: Window,
    /// When the monitor saw it close, Unix ms.
    pub closed_at_ms: u64,
}

/// See the module.
pub struct Monitor {
    lengths: Lengths,
    meter: Option<Meter>,
    health: ActorHealth,
    published: watch::Sender<LastWindow>,
    clock: Clock,
}

impl Monitor {
    /// A monitor that waits to be restored. Closed windows are published.
    pub fn new(
        lengths: Lengths,
        health: ActorHealth,
        published: watch::Sender<LastWindow>,
        clock: Clock,
    ) -> Self {
        Self { lengths, meter: None, health, published, clock }
    }

    fn publish(&self, window: Window) {
        let closed = ClosedWindow { window, closed_at_ms: self.clock.unix_ms() };
        self.published.send_replace(Some(Arc::new(closed)));
    }
}

impl Actor for Monitor {
    type Context = Context<Self>;

    fn started(&mut self, _context: &mut Self::Context) {
        self.health.set_recovering(true);
    }
}

impl Supervised for Monitor {
    fn restarting(&mut self, _context: &mut Self::Context) {
        self.meter = None;
        self.health.set_recovering(true);
    }
}

impl Handler<Measure> for Monitor {
    type Result = Result<Measured, MeasureError>;

    fn handle(&mut self, measure: Measure, _context: &mut Self::Context) -> Self::Result {
        fault::handling!("monitor");
        let meter = self.meter.as_mut().ok_or(Lost)?;
        let measured = match measure {
            Measure::Exact(usage) => meter.exact(usage)?,
            Measure::Late { begins, told } => {
                meter.late(begins, told.into_iter().map(|TickUsed { tick, usage }| (tick, usage)))
            }
        };
        if let Some(window) = measured.closed {
            self.publish(window);
        }
        Ok(measured)
    }
}

impl Handler<Restore> for Monitor {
    type Result = MessageResult<Restore>;

    fn handle(&mut self, Restore { recovered, .. }: Restore, _context: &mut Self::Context) -> Self::Result {
        let state = &recovered.state;
        self.meter = Some(Meter::recover(self.lengths, state));
        if let Some(window) = state.last_window {
            self.publish(window);
        }
        self.health.set_recovering(false);
        MessageResult(Vec::new())
    }
}

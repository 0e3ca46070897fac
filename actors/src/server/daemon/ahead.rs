//! Ticks that run ahead of their time: a new journal gets a past, so that people see at once what levelling does.
//!
//! ```text
//! tick t ─▶ durable ─▶ read, learned, planned ─▶ Control ─▶ tick t+1 …      as fast as that goes
//! ```
//! Nothing else is different: the same ticks go through the same journal, and the client plans after each.

use std::time::Duration;

use actix::{MailboxError, Recipient};
use evenkeel_core::units::tick::Tick;
use tokio::{
    sync::watch,
    time::{Instant, sleep, timeout},
};

use super::{Pace, TickDue};
use crate::clock::{self, Clock};

/// Longest that a plan is waited for: a client that is away does not keep the database from its work.
const PLAN_MAX: Duration = Duration::from_secs(5);
/// Wait before a tick that failed is tried again.
const RETRY_AFTER: Duration = Duration::from_millis(100);

/// See the module.
#[derive(Clone, Debug)]
pub struct FastForward {
    /// The first tick that runs in its own time.
    pub until: Tick,
    /// The last tick after which a client has planned.
    pub planned: watch::Receiver<Option<Tick>>,
    /// Tells when entries are made: as if the ticks had run until now.
    pub clock: Clock,
}

impl FastForward {
    /// Runs ticks until it is enough, or nobody plans.
    pub(super) async fn run(
        mut self,
        ticker: &Recipient<TickDue>,
        pace: watch::Receiver<Pace>,
        tick_ms: u64,
    ) {
        let began_ms = clock::unix_ms();
        loop {
            let next = pace.borrow().last.map_or(Tick(0), |last| last.tick.next());
            if next >= self.until {
                break;
            }
            self.clock.set(began_ms.saturating_sub(self.until.since(next).saturating_mul(tick_ms)));
            let at = Instant::now();
            if ticker.send(TickDue { at }).await == Err(MailboxError::Closed) {
                break;
            }
            if pace.borrow().last.is_none_or(|last| last.tick < next) {
                sleep(RETRY_AFTER).await;
                continue;
            }
            let planned = self.planned.wait_for(|planned| *planned >= Some(next));
            if !matches!(timeout(PLAN_MAX, planned).await, Ok(Ok(_))) {
                tracing::warn!(tick = next.0, "nobody plans: the rest of the ticks run in their own time");
                break;
            }
        }
        self.clock.run();
    }
}

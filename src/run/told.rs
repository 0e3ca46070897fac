//! What the client tells about itself each second, and the way it takes to those who ask the server.
//!
//! ```text
//! one process   decision, role ─────────────────▶ ClientTold ─▶ HTTP
//! two           decision, role ─▶ Redis ─▶ Told ─▶ ClientTold ─▶ HTTP
//!                                                      └─ forecasts ─▶ Observer
//! ```

use std::{sync::Arc, time::Duration};

use evenkeel_actors::{
    leveller::{
        acceptance::Acceptance,
        consumer::{Role, Unsaved},
        scheduler::LastDecision,
    },
    messages::Reported,
    stores::redis::{ReportReader, ReportWriter},
    supervise::port::Port,
};
use evenkeel_core::insight::report::{Decided, LearnedCosts, Report};
use tokio::{
    sync::watch,
    time::{Instant, MissedTickBehavior, interval},
};

use super::client_half::ClientHalf;
use crate::http::{ClientTold, RedisView};

/// How often it is told.
const EVERY: Duration = Duration::from_secs(1);
/// More queries than these are told about every tenth time: 1,000 of them take about 0.3 MB.
const COSTS_OFTEN_MAX: usize = 1_000;

/// Makes reports from what the client's half publishes.
pub(super) struct Reporter {
    role: watch::Receiver<Role>,
    decision: watch::Receiver<LastDecision>,
    acceptance: watch::Receiver<Acceptance>,
    unsaved: watch::Receiver<Unsaved>,
    beat: u64,
}

impl Reporter {
    pub(super) fn new(client: &ClientHalf) -> Self {
        let ClientHalf { role, decision, acceptance, unsaved, .. } = client;
        let (role, decision) = (role.clone(), decision.clone());
        let (acceptance, unsaved) = (acceptance.clone(), unsaved.clone());
        Self { role, decision, acceptance, unsaved, beat: 0 }
    }

    /// How the client is now, and what it has learned.
    fn report(&mut self) -> (Report, LearnedCosts) {
        self.beat += 1;
        let (role, note) = match &*self.role.borrow() {
            Role::Restoring => ("restoring", None),
            Role::Waiting { cause } => ("waiting", Some(cause.clone())),
            Role::StandingBy { holder } => ("standing by", Some(holder.clone())),
            Role::GaveUp { cause } => ("gave up", Some(cause.clone())),
            Role::Levelling => ("levelling", self.acceptance.borrow().trouble()),
        };
        let unsaved = self.unsaved.borrow().clone();
        let mut report =
            Report { beat: self.beat, role: role.to_owned(), note, unsaved, ..Report::default() };
        let mut costs = LearnedCosts::default();
        if let Some(decision) = &*self.decision.borrow() {
            let (tick, feasibility, slots) = (decision.tick, decision.feasibility, decision.slots);
            report.decided = Some(Decided { tick, feasibility, slots });
            report.forecasts = decision.forecasts.to_vec();
            report.residual = decision.residual;
            report.learning_s = decision.learning_s;
            report.shadow = decision.shadow.as_deref().cloned();
            costs = LearnedCosts::from(&*decision.estimates);
        }
        (report, costs)
    }

    /// Tells whoever is in the same process.
    pub(super) fn tell(&mut self, told: &watch::Sender<Option<ClientTold>>, observer: &Port<Reported>) {
        let (report, costs) = self.report();
        let report = Arc::new(report);
        // Without room there: the next one says it again.
        observer.offer(Reported(Arc::clone(&report)));
        told.send_replace(Some(ClientTold { report, costs: Arc::new(costs), at: Instant::now() }));
    }

    /// Tells everybody through Redis, for ever.
    pub(super) async fn publish(mut self, mut writer: ReportWriter) {
        let mut second = every_second();
        let (mut faulty, mut gave_up) = (false, false);
        loop {
            second.tick().await;
            let standing_by = matches!(*self.role.borrow(), Role::StandingBy { .. });
            let gives_up = matches!(*self.role.borrow(), Role::GaveUp { .. });
            let said = std::mem::replace(&mut gave_up, gives_up) && gives_up;
            let (report, costs) = self.report();
            // Who levels speaks for the client; who gave that up says so once.
            if standing_by || said {
                continue;
            }
            let news = costs.queries.len() <= COSTS_OFTEN_MAX || report.beat.is_multiple_of(10);
            let told = tokio::task::spawn_blocking(move || {
                let told = writer.publish(&report, news.then_some(&costs));
                (writer, told)
            });
            let Ok((returned, told)) = told.await else { return };
            writer = returned;
            if let Err(cause) = &told
                && !faulty
            {
                tracing::warn!(%cause, "what the client knows is not told to the server");
            }
            faulty = told.is_err();
        }
    }
}

/// Hears through Redis what the client tells, for ever.
pub(super) async fn hear(
    mut reader: ReportReader,
    told: watch::Sender<Option<ClientTold>>,
    redis: watch::Sender<RedisView>,
    observer: Port<Reported>,
) {
    let mut second = every_second();
    loop {
        second.tick().await;
        let heard = tokio::task::spawn_blocking(move || {
            let heard = reader.read();
            (reader, heard)
        });
        let Ok((returned, heard)) = heard.await else { return };
        reader = returned;
        let heard = match heard {
            Ok(heard) => heard,
            Err(fault) => {
                redis.send_modify(|view| view.fault = Some(fault.to_string()));
                continue;
            }
        };
        if let Some(report) = heard.report {
            // What says the same as before is no news, and grows old.
            let known = told.borrow().as_ref().is_some_and(|known| *known.report == report);
            if !known {
                let report = Arc::new(report);
                observer.offer(Reported(Arc::clone(&report)));
                let costs = heard.costs.map(Arc::new);
                let before = told.borrow().as_ref().map(|known| Arc::clone(&known.costs));
                let costs = costs.or(before).unwrap_or_default();
                told.send_replace(Some(ClientTold { report, costs, at: Instant::now() }));
            }
        }
        redis.send_replace(RedisView {
            fault: heard.newer.map(|newer| newer.to_string()),
            lengths: heard.lengths,
            groups: heard.groups,
            dead_letters: heard.dead_letters,
        });
    }
}

fn every_second() -> tokio::time::Interval {
    let mut second = interval(EVERY);
    second.set_missed_tick_behavior(MissedTickBehavior::Skip);
    second
}

//! The numbers of a client of its own.

use std::fmt;

use evenkeel_actors::leveller::consumer::Role;
use prometheus_client::{collector::Collector, encoding::DescriptorEncoder};

use super::write::Writer;
use crate::http::ClientViews;

/// See the module.
pub(crate) struct ClientNumbers(pub(crate) ClientViews);

impl fmt::Debug for ClientNumbers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientNumbers")
    }
}

impl Collector for ClientNumbers {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut writer = Writer(encoder);
        let now = match &*self.0.role.borrow() {
            Role::Restoring => "restoring",
            Role::Waiting { .. } => "waiting",
            Role::StandingBy { .. } => "standing by",
            Role::GaveUp { .. } => "gave up",
            Role::Levelling => "levelling",
        };
        let roles = ["restoring", "waiting", "standing by", "gave up", "levelling"];
        let is = roles.map(|role| ([("role", role)], f64::from(u8::from(role == now))));
        writer.gauges("client_role", "1 for what it is to the database.", is)?;
        let taken = now == "levelling" && self.0.trouble().is_none();
        let help = "1 while it levels and what it decides is taken.";
        writer.gauge("decisions_taken", help, Some(f64::from(u8::from(taken))))?;
        let decision = self.0.decision.borrow().clone();
        let number =
            |of: fn(&evenkeel_actors::leveller::scheduler::Decision) -> f64| decision.as_ref().map(of);
        writer.gauge("decided_tick", "The last tick that it decided after.", number(|d| d.tick.0 as f64))?;
        writer.gauge("slots", "Slots that it placed.", number(|d| d.slots as f64))?;
        let feasible = number(|d| f64::from(u8::from(d.feasibility.feasible)));
        writer.gauge("feasible", "1 when the corridor can be reached.", feasible)?;
        let residual = decision.as_ref().and_then(|decision| decision.residual);
        writer.gauge("estimator_residual", "Root mean square of the model's relative error.", residual)?;
        let known = number(|d| d.estimates.iter().count() as f64);
        writer.gauge("estimated_queries", "Queries whose cost is being learned.", known)
    }
}

//! The numbers that every process has.

use std::fmt;

use evenkeel_actors::supervise::health::{ActorHealth, ActorState, Roster};
use prometheus_client::{collector::Collector, encoding::DescriptorEncoder};

use super::write::Writer;
use crate::{
    http::{Kind, slice::Slices},
    output,
};

/// Whether the process does its work, and what works less well than it should.
pub(crate) struct Condition(pub(crate) Slices);

impl fmt::Debug for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Condition")
    }
}

impl Collector for Condition {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut writer = Writer(encoder);
        let readiness = self.0.readiness();
        let ready = f64::from(u8::from(readiness.reasons.is_empty()));
        writer.gauge("ready", "1 when /readyz answers 200.", Some(ready))?;
        let count = readiness.degraded.len() as f64;
        writer.gauge("degraded", "Things that work less well than they should.", Some(count))?;
        let kinds = Kind::ALL.map(|kind| {
            let count = readiness.degraded.iter().filter(|cause| cause.kind == kind).count();
            ([("cause", kind.name())], count as f64)
        });
        writer.gauges("degraded_cause", "The same, by what they are about.", kinds)
    }
}

/// What a process prints.
#[derive(Debug)]
pub(crate) struct Outputs;

impl Collector for Outputs {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let outputs = [("log", output::log_condition()), ("line", output::lines_condition())];
        Writer(encoder).counters(
            "output_lines_dropped",
            "Lines of the log and of the line each second that nobody took.",
            outputs.map(|(name, condition)| ([("output", name)], condition.dropped)),
        )
    }
}

/// How the actors of a process are.
#[derive(Debug)]
pub(crate) struct Actors(pub(crate) Roster);

impl Collector for Actors {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut writer = Writer(encoder);
        let actors = self.0.all();
        let named = |number: fn(&ActorHealth) -> u64| {
            actors.iter().map(move |actor| ([("actor", actor.name().name())], number(actor)))
        };
        writer.counters(
            "actor_restarts",
            "Failures after which it was started again.",
            named(ActorHealth::restarts),
        )?;
        let float = |number: fn(&ActorHealth) -> u64| named(number).map(|(labels, n)| (labels, n as f64));
        writer.gauges("actor_mailbox", "Messages without an answer.", float(ActorHealth::unanswered))?;
        let running = |actor: &ActorHealth| u64::from(actor.state() == ActorState::Running);
        writer.gauges("actor_running", "1 while it takes messages.", float(running))?;
        let silent = named(ActorHealth::silent_ms).map(|(labels, ms)| (labels, ms as f64 / 1e3));
        writer.gauges("actor_silent_seconds", "Time since its thread looked after it.", silent)
    }
}

//! The server's numbers.

use std::{fmt, sync::Arc};

use evenkeel_core::{
    insight::{
        objective::Level,
        recap::{DELAY_BOUNDS, Step},
    },
    journal::{Mode, Stream},
    units::{
        resource::{PerResource, Resource},
        span::Span,
    },
};
use prometheus_client::{collector::Collector, encoding::DescriptorEncoder};

use super::write::Writer;
use crate::http::{
    Views,
    v1::{Capture, Frames},
};

/// See the module.
pub(crate) struct ServerNumbers {
    pub(crate) views: Views,
    pub(crate) frames: Frames,
}

impl fmt::Debug for ServerNumbers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ServerNumbers")
    }
}

impl Collector for ServerNumbers {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut writer = Writer(encoder);
        self.ticks(&mut writer)?;
        self.journal(&mut writer)?;
        self.level(&mut writer)?;
        self.utilisation(&mut writer)?;
        self.client(&mut writer)
    }
}

impl ServerNumbers {
    fn ticks(&self, writer: &mut Writer<'_>) -> fmt::Result {
        let pace = *self.views.pace.borrow();
        let tick = pace.last.map(|last| last.tick.0 as f64);
        writer.gauge("tick", "The last tick that ran.", tick)?;
        writer.counter("late_ticks", "Ticks that began more than half a tick late.", pace.late_ticks)?;
        writer.counter("refused_arrivals", "Arrivals refused for want of room.", pace.refused_arrivals)?;
        writer.gauge("event_readers", "Connected readers of events.", Some(self.frames.readers() as f64))?;
        let queue = self.views.queue.borrow().clone();
        let modes = [Mode::Off, Mode::Shadow, Mode::Enforce].into_iter().filter_map(|mode| {
            let is = f64::from(u8::from(queue.as_ref()?.mode == mode));
            Some(([("mode", mode.name())], is))
        });
        writer.gauges("mode", "1 for the mode that is set.", modes)?;
        let levelled = queue.as_ref().map(|queue| f64::from(u8::from(queue.levelled)));
        writer.gauge("levelled", "1 while slots decide.", levelled)?;
        let lease = queue.as_ref().and_then(|queue| Some((queue.tick, queue.lease.as_ref()?)));
        let epoch = lease.map(|(_, lease)| lease.epoch as f64);
        writer.gauge(
            "lease_epoch",
            "Counts takeovers of levelling; /readyz says who holds the lease.",
            epoch,
        )?;
        let lives = lease.map_or(0.0, |(tick, lease)| f64::from(u8::from(lease.lives_after(tick))));
        writer.gauge("lease_held", "1 while somebody holds the lease.", queue.as_ref().map(|_| lives))?;
        let depth = queue.as_ref().map(|queue| queue.waiting.len() as f64);
        writer.gauge("queue_depth", "Executions that wait.", depth)?;
        let oldest = queue
            .as_ref()
            .and_then(|queue| Some(queue.tick.since(queue.waiting.first()?.queued_tick) as f64));
        writer.gauge("queue_oldest_ticks", "Ticks since the oldest of them arrived.", oldest)?;
        self.objective(writer)
    }

    fn objective(&self, writer: &mut Writer<'_>) -> fmt::Result {
        let about = &self.views.about;
        let seconds = Span::of(about.delay_objective_ticks, about.lengths.tick_ms).seconds();
        writer.gauge(
            "delay_objective_seconds",
            "Delay within which executions should run.",
            Some(seconds),
        )?;
        let found = self.views.delay_verdict().level;
        let levels = Level::ALL.map(|level| ([("level", level.name())], f64::from(u8::from(level == found))));
        writer.gauges("delay_level", "1 for how the delay is to its objective: good, warning or bad.", levels)
    }

    fn journal(&self, writer: &mut Writer<'_>) -> fmt::Result {
        let outbox = self.views.outbox.borrow().clone();
        let executed = Capture::new(&self.views).executed();
        writer.counter("executions", "Executions that ran.", executed)?;
        let entries = Stream::ALL.map(|stream| ([("stream", stream.name())], outbox.last_seq[stream]));
        writer.counters("journal_entries", "Entries recorded.", entries)?;
        if let Some(shipping) = &self.views.shipping {
            let shipping = shipping.borrow().clone();
            let connected = Some(f64::from(u8::from(shipping.connected)));
            writer.gauge("redis_connected", "1 while Redis takes entries.", connected)?;
            let waiting = Stream::ALL.map(|stream| {
                let depth = outbox.last_seq[stream].saturating_sub(shipping.shipped_seq[stream]);
                ([("stream", stream.name())], depth as f64)
            });
            writer.gauges("outbox_unshipped", "Entries that Redis has not got.", waiting)?;
            let oldest = self.oldest_unshipped_seconds(&shipping.shipped_seq);
            writer.gauge("outbox_oldest_seconds", "Age of the oldest of them.", Some(oldest))?;
        }
        let Some(redis) = &self.views.redis else { return Ok(()) };
        let redis = redis.borrow().clone();
        let Some(redis) = redis.known() else { return Ok(()) };
        let dead = redis.dead_letters as f64;
        writer.gauge("dead_letters", "Entries that clients had to leave out.", Some(dead))?;
        // Other groups than evenkeel's own have names that anybody may choose: together they are one.
        let group = |stream: Stream, number: fn(&evenkeel_actors::stores::redis::GroupState) -> u64| {
            let ours = |name: &str| name == evenkeel_actors::stores::redis::GROUP;
            [("scheduler", true), ("others", false)].map(|(label, own)| {
                let groups = redis.groups[stream].iter().filter(|group| ours(&group.name) == own);
                ([("stream", stream.name()), ("group", label)], groups.map(number).max().unwrap_or(0) as f64)
            })
        };
        let pending = Stream::ALL.into_iter().flat_map(|stream| group(stream, |group| group.pending));
        writer.gauges("group_pending", "Entries delivered and not acknowledged.", pending)?;
        let lag = Stream::ALL.into_iter().flat_map(|stream| group(stream, |group| group.lag.unwrap_or(0)));
        writer.gauges("group_lag", "Entries not delivered.", lag)
    }

    /// The outbox is not read for it: windows close each second, so the last that were shipped tell the age.
    fn oldest_unshipped_seconds(&self, shipped: &evenkeel_core::journal::PerStream<u64>) -> f64 {
        let outbox = self.views.outbox.borrow().clone();
        let waiting = outbox.last_seq[Stream::Windows].saturating_sub(shipped[Stream::Windows]) as usize;
        let overview = Arc::clone(&self.views.overview.borrow());
        let oldest = overview.steps.len().checked_sub(waiting.max(1)).map(|at| &overview.steps[at]);
        let oldest = oldest.or(overview.steps.first()).filter(|_| waiting > 0);
        let age_ticks = oldest.map_or(0, |step| outbox.next_tick.since(step.window.last_tick));
        (age_ticks * self.views.about.lengths.tick_ms) as f64 / 1e3
    }

    fn level(&self, writer: &mut Writer<'_>) -> fmt::Result {
        let overview = Arc::clone(&self.views.overview.borrow());
        let spans = [("1m", overview.minute), ("5m", overview.five_minutes)];
        let shares = spans.iter().filter_map(|(over, span)| {
            Some(([("over", *over), ("levelling", "measured")], span.in_corridor?))
        });
        let without = spans.iter().filter_map(|(over, span)| {
            Some(([("over", *over), ("levelling", "without")], span.in_corridor_without?))
        });
        writer.gauges("corridor_share", "Share of windows in the corridor.", shares.chain(without))?;
        let bounds = DELAY_BOUNDS.into_iter().map(|bound| bound as f64).chain([f64::INFINITY]);
        writer.histogram(
            "delay_ticks",
            "Ticks from arrival to run; 1 is none added.",
            overview.delays.sum_ticks as f64,
            bounds.zip(overview.delays.classes),
        )
    }

    fn utilisation(&self, writer: &mut Writer<'_>) -> fmt::Result {
        let overview = Arc::clone(&self.views.overview.borrow());
        let last = overview.steps.last();
        // The client tells about a window up to two seconds after it has closed.
        let told = overview.steps.iter().rev().take(30);
        let predicted = told.clone().find_map(|step| step.forecast?.predicted);
        let without = told.clone().find_map(|step| step.forecast?.without);
        let extents = |step: &Step| {
            let usage = step.window.usage;
            let value = |of: fn(&evenkeel_core::units::window::Extent) -> u64| {
                PerResource::from_fn(|r| of(&usage[r]) as f64)
            };
            [("average", value(|e| e.average)), ("min", value(|e| e.min)), ("max", value(|e| e.max))]
        };
        let mut values = Vec::new();
        let mut add = |kind: &'static str, of: &'static str, value: PerResource<f64>| {
            for r in Resource::ALL {
                values.push(([("resource", r.name()), ("kind", kind), ("tick", of)], value[r]));
            }
        };
        for (of, value) in last.map(extents).into_iter().flatten() {
            add("measured", of, value);
        }
        if let Some(predicted) = predicted {
            add("predicted", "average", predicted);
        }
        if let Some(without) = without {
            let usage = without.usage;
            add("without", "average", usage.map(|extent| extent.average));
            add("without", "min", usage.map(|extent| extent.min));
            add("without", "max", usage.map(|extent| extent.max));
        }
        writer.gauges("utilisation_units", "Resource units a tick in the last window.", values)
    }

    fn client(&self, writer: &mut Writer<'_>) -> fmt::Result {
        let Some(told) = self.views.told.borrow().clone() else { return Ok(()) };
        let age = told.at.elapsed().as_secs_f64();
        writer.gauge("client_age_seconds", "Time since the client told how it is.", Some(age))?;
        let decided = told.report.decided;
        let tick = self.views.pace.borrow().last.map(|last| last.tick);
        let lag = tick.zip(decided).map(|(tick, decided)| tick.since(decided.tick) as f64);
        writer.gauge("decision_lag_ticks", "Ticks since the last that the client decided after.", lag)?;
        let feasible = decided.map(|decided| f64::from(u8::from(decided.feasibility.feasible)));
        writer.gauge("feasible", "1 when the corridor can be reached.", feasible)?;
        let cuts_peaks = decided.map(|decided| f64::from(u8::from(decided.feasibility.cuts_peaks)));
        writer.gauge(
            "cuts_peaks",
            "1 while peaks are cut although the corridor is out of reach.",
            cuts_peaks,
        )?;
        writer.gauge(
            "estimator_residual",
            "Root mean square of the model's relative error.",
            told.report.residual,
        )
    }
}

//! The numbers of the front before a real database.

use std::fmt;

use prometheus_client::{collector::Collector, encoding::DescriptorEncoder};

use super::write::Writer;
use crate::http::ClientsViews;

/// See the module.
pub(crate) struct ClientsNumbers(pub(crate) ClientsViews);

impl fmt::Debug for ClientsNumbers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientsNumbers")
    }
}

impl Collector for ClientsNumbers {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut writer = Writer(encoder);
        let now = self.0.counters.now();
        let reachable = self.0.reachable.borrow().map(|is| f64::from(u8::from(is)));
        writer.gauge("database_reachable", "1 while the database answers evenkeel itself.", reachable)?;
        let connections = Some(now.connections as f64);
        writer.gauge("database_clients", "Connections of the database's clients.", connections)?;
        writer.counter(
            "database_clients_refused",
            "Connections refused, because there were too many.",
            now.refused,
        )?;
        let unrecorded = [([("why", "off")], now.unrecorded_off), ([("why", "full")], now.unrecorded_full)];
        let help = "Statements that passed without a record: as --record off or --when-full pass say.";
        writer.counters("statements_unrecorded", help, unrecorded)?;
        let help = "Batches that might have been held, and were too long for that.";
        writer.counter("batches_too_long", help, now.too_long)?;
        let pacing = self.0.pacing.borrow().clone();
        let seconds = |us: f64| us / 1e6;
        let pace = pacing.pace.map(|pace| seconds(pace.core_us_per_s as f64));
        writer.gauge(
            "pace_cores",
            "Processors that the database is to use; absent while nobody plans.",
            pace,
        )?;
        let others = Some(seconds(pacing.others_us_per_s));
        writer.gauge("others_cores", "Processors that others than held statements use.", others)?;
        let waiting = Some(seconds(pacing.waiting.1 as f64));
        let help = "CPU time that held statements, those that run included, are expected to use yet.";
        writer.gauge("waiting_cpu_seconds", help, waiting)?;
        writer.gauge("held_running", "Held statements that run now.", Some(pacing.running as f64))?;
        let behind = Some(now.behind as f64);
        writer.gauge("statements_behind", "Statements and outcomes that are not recorded yet.", behind)
    }
}

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
        let behind = Some(now.behind as f64);
        writer.gauge("statements_behind", "Statements and outcomes that are not recorded yet.", behind)
    }
}

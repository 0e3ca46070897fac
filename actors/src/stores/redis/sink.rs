//! A shipment as the [`Sink`] that the shipper knows.

use std::{path::Path, sync::Arc};

use super::{
    shipment::Shipment,
    shipping::{Lost, ShipmentSettings, ShippingFault},
};
use crate::ports::sink::{OpenSink, Shipped, Sink, SinkFault};

impl Shipment {
    /// Opens shipments from the outbox in `dir`.
    pub fn opener(settings: ShipmentSettings, dir: &Path) -> OpenSink {
        let dir = dir.to_owned();
        Arc::new(move || {
            let shipment = Self::new(settings.clone(), &dir).map_err(ShippingFault::from)?;
            Ok(Box::new(shipment))
        })
    }
}

impl Sink for Shipment {
    fn ship(&mut self) -> Result<Shipped, SinkFault> {
        Ok(self.ship()?)
    }

    fn trim(&mut self) -> Result<(), SinkFault> {
        Ok(self.trim()?)
    }

    fn take_lost(&mut self) -> Vec<String> {
        self.take_lost().iter().map(Lost::to_string).collect()
    }

    fn warnings(&self) -> &[String] {
        self.warnings()
    }
}

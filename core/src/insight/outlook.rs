//! All that the client tells people, folded from the same entries as its decisions. Soft: a restart begins anew.

use std::sync::Arc;

use super::{
    benefit::{Benefit, Summary},
    forecast::{Forecast, Forecaster},
};
use crate::{estimator::Estimates, journal::Record, units::lengths::Lengths};

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct Outlook {
    benefit: Benefit,
    forecaster: Forecaster,
    forecasts: Arc<[Forecast]>,
    /// What was known before the entries that are being applied.
    known: Arc<Estimates>,
}

impl Outlook {
    /// Of a database of these lengths, before the first entry.
    pub fn new(lengths: Lengths) -> Self {
        let (benefit, forecaster) = (Benefit::new(lengths), Forecaster::new(lengths));
        Self { benefit, forecaster, ..Self::default() }
    }

    /// Applies entries. `learned` is what is known after them.
    pub fn apply<'a>(&mut self, records: impl IntoIterator<Item = &'a Record>, learned: &Arc<Estimates>) {
        for record in records {
            self.benefit.apply(record, learned);
            self.forecaster.apply(record, &self.known, self.benefit.without(), learned);
            if matches!(record, Record::Window(_)) {
                self.forecasts = self.forecaster.forecasts().copied().collect();
            }
        }
        self.known = Arc::clone(learned);
    }

    /// What levelling has brought lately.
    pub fn benefit(&self) -> Summary {
        self.benefit.summary()
    }

    /// The last minute's windows, as learned costs explain them.
    pub fn forecasts(&self) -> &Arc<[Forecast]> {
        &self.forecasts
    }

    /// How far they explain them: see [`Forecaster::residual`].
    pub fn residual(&self) -> Option<f64> {
        self.forecaster.residual()
    }

    /// Learned costs.
    pub fn known(&self) -> &Arc<Estimates> {
        &self.known
    }
}

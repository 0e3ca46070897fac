//! Metrics that are made from what is published, when somebody asks.

use std::fmt;

use prometheus_client::{
    encoding::{DescriptorEncoder, EncodeMetric as _, MetricEncoder, NoLabelSet},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
};

/// Writes one metric after the other.
pub(super) struct Writer<'a>(pub(super) DescriptorEncoder<'a>);

/// A label and its value.
pub(super) type Label<'a> = (&'static str, &'a str);

impl Writer<'_> {
    /// A number that goes up and down; not written where it is not known.
    pub(super) fn gauge(&mut self, name: &str, help: &str, value: Option<f64>) -> fmt::Result {
        let Some(value) = value else { return Ok(()) };
        let metric = self.0.encode_descriptor(name, help, None, MetricType::Gauge)?;
        ConstGauge::new(value).encode(metric)
    }

    /// A number that only grows; `_total` is added to its name.
    pub(super) fn counter(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        let metric = self.0.encode_descriptor(name, help, None, MetricType::Counter)?;
        ConstCounter::new(value).encode(metric)
    }

    /// As [`Writer::gauge`], one for each set of labels.
    pub(super) fn gauges<const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = ([Label<'static>; N], f64)>,
    ) -> fmt::Result {
        let values: Vec<_> = values.into_iter().collect();
        if values.is_empty() {
            return Ok(());
        }
        let mut family = self.0.encode_descriptor(name, help, None, MetricType::Gauge)?;
        values.iter().try_for_each(|(labels, value)| {
            ConstGauge::new(*value).encode(family.encode_family(&labels.as_slice())?)
        })
    }

    /// As [`Writer::counter`], one for each set of labels.
    pub(super) fn counters<const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = ([Label<'static>; N], u64)>,
    ) -> fmt::Result {
        let mut family = self.0.encode_descriptor(name, help, None, MetricType::Counter)?;
        values.into_iter().try_for_each(|(labels, value)| {
            ConstCounter::new(value).encode(family.encode_family(&labels.as_slice())?)
        })
    }

    /// Classes with their upper bounds; the last class has none.
    pub(super) fn histogram(
        &mut self,
        name: &str,
        help: &str,
        sum: f64,
        classes: impl IntoIterator<Item = (f64, u64)>,
    ) -> fmt::Result {
        let classes: Vec<_> = classes.into_iter().collect();
        let count = classes.iter().map(|(_, count)| count).sum();
        let mut metric: MetricEncoder<'_> =
            self.0.encode_descriptor(name, help, None, MetricType::Histogram)?;
        metric.encode_histogram::<NoLabelSet>(sum, count, &classes, None)
    }
}

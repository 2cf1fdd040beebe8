//! All metrics of one name: one for each combination of label values.

use prometheus::Registry;
use prometheus::core::{Collector, MetricVec, MetricVecBuilder};
use prometheus::proto::MetricFamily;

/// The metrics of one name. A method of [`Metrics`](super::Metrics) returns the one with given labels.
pub struct Family<V>(V);

/// The vector types of the Prometheus client.
pub trait Vector {
    /// One metric of the vector.
    type Metric;
}

impl<B: MetricVecBuilder> Vector for MetricVec<B> {
    type Metric = B::M;
}

impl<B: MetricVecBuilder + 'static> Family<MetricVec<B>> {
    /// Registers a new vector.
    #[expect(
        clippy::expect_used,
        reason = "names and labels are constants; a test registers all of them"
    )]
    pub(super) fn register(registry: &Registry, vector: prometheus::Result<MetricVec<B>>) -> Self {
        let vector = vector.expect("name and labels are valid");
        registry.register(Box::new(vector.clone())).expect("the name is unique");
        Self(vector)
    }

    pub(super) fn with(&self, labels: &[&str]) -> B::M {
        self.0.with_label_values(labels)
    }

    /// Removes one metric, if it exists.
    pub(super) fn remove(&self, labels: &[&str]) {
        let _ = self.0.remove_label_values(labels);
    }

    /// Returns the metrics with their labels and values.
    #[must_use]
    pub fn collect(&self) -> Vec<MetricFamily> {
        self.0.collect()
    }
}

//! The macro that declares metrics: one line gives the field, the method with one argument a label, and the registration.

use prometheus::Registry;
use prometheus::core::{MetricVec, MetricVecBuilder};

/// The vector types of the Prometheus client.
pub trait Vector {
    /// One metric of the vector.
    type Metric;
}

impl<B: MetricVecBuilder> Vector for MetricVec<B> {
    type Metric = B::M;
}

/// Registers a new vector.
#[expect(
    clippy::expect_used,
    reason = "names and labels are constants; a test registers all of them"
)]
pub(super) fn register<B: MetricVecBuilder + 'static>(
    registry: &Registry,
    vector: prometheus::Result<MetricVec<B>>,
) -> MetricVec<B> {
    let vector = vector.expect("name and labels are valid");
    registry.register(Box::new(vector.clone())).expect("the name is unique");
    vector
}

/// Declares [`Metrics`](super::Metrics): `field: Vector("name", [label, label: Type], buckets);`, where a label without
/// a type is a `&str`. The method of the same name as the field takes the values of the labels in this order, so a
/// missing or surplus label does not compile.
macro_rules! declare_metrics {
    ($($(#[doc = $help:literal])+ $field:ident: $vector:ident(
        $name:literal, [$($label:ident $(: $type:ty)?),+] $(, $buckets:expr)?
    );)+) => {
        /// All metrics. A field is named after its metric, without unit and `_total`.
        pub struct Metrics {
            registry: Registry,
            $($(#[doc = $help])+ pub $field: $vector,)+
        }

        impl Metrics {
            fn new() -> Self {
                let registry = Registry::new();
                Self {
                    $($field: $crate::metrics::declare::register(&registry, $vector::new(
                        $crate::metrics::declare::options!($name, concat!($($help),+).trim() $(, $buckets)?),
                        &[$(stringify!($label)),+],
                    )),)+
                    registry,
                }
            }

            $($(#[doc = $help])+
            #[must_use]
            pub fn $field(
                &self,
                $($label: $crate::metrics::declare::label_type!($($type)?)),+
            ) -> <$vector as Vector>::Metric {
                self.$field.with_label_values(&[$($label.text()),+])
            })+
        }

        /// Names of all metrics, for tests and docs.
        pub const NAMES: &[&str] = &[$($name),+];
    };
}

macro_rules! options {
    ($name:literal, $help:expr) => {
        prometheus::Opts::new($name, $help)
    };
    ($name:literal, $help:expr, $buckets:expr) => {
        prometheus::HistogramOpts::new($name, $help).buckets($buckets.to_vec())
    };
}

macro_rules! label_type {
    () => {
        &str
    };
    ($type:ty) => {
        $type
    };
}

pub(super) use {declare_metrics, label_type, options};

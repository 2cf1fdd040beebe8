//! Converts the metrics of the Prometheus registry to OTLP.
//!
//! The Rust SDK of OpenTelemetry can export only what its own instruments measured, so the message is built here:
//! <https://github.com/open-telemetry/opentelemetry-proto/blob/main/opentelemetry/proto/metrics/v1/metrics.proto>.

use std::collections::HashMap;

use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint, Sum, metric,
    number_data_point,
};
use prometheus::proto::{self as prometheus_proto, MetricFamily, MetricType};

use xact_config::Temporality;

/// What the last export that was accepted contained, by name and labels: a delta is the difference to it.
#[derive(Debug, Default, Clone)]
pub(super) struct Totals(HashMap<(String, Vec<(String, String)>), Total>);

#[derive(Debug, Default, Clone, PartialEq)]
struct Total {
    value: f64,
    /// Of a histogram: observations in each bucket, the last one above the highest bound.
    buckets: Vec<u64>,
}

/// Bounds of the time that an export covers, in nanoseconds since 1970.
#[derive(Debug, Clone, Copy)]
pub(super) struct Period {
    pub(super) start: u64,
    pub(super) end: u64,
}

/// Returns the metrics of `families`, and the totals to pass to the next call once this export was accepted. With
/// [`Temporality::Delta`] only the series that changed since `before` are returned; gauges are always returned.
pub(super) fn convert(
    families: &[MetricFamily],
    temporality: Temporality,
    before: &Totals,
    period: Period,
) -> (Vec<Metric>, Totals) {
    let mut totals = Totals::default();
    let metrics = families
        .iter()
        .filter_map(|family| metric_of(family, temporality, before, &mut totals, period))
        .collect();
    (metrics, totals)
}

fn metric_of(
    family: &MetricFamily,
    temporality: Temporality,
    before: &Totals,
    totals: &mut Totals,
    period: Period,
) -> Option<Metric> {
    let aggregation_temporality = match temporality {
        Temporality::Cumulative => AggregationTemporality::Cumulative,
        Temporality::Delta => AggregationTemporality::Delta,
    } as i32;
    let mut changes = |series: &prometheus_proto::Metric, total: Total| {
        let key = (family.name().to_owned(), labels(series));
        let changed = match temporality {
            Temporality::Cumulative => Some(total.clone()),
            Temporality::Delta => total.since(before.0.get(&key)),
        };
        totals.0.insert(key, total);
        changed
    };
    let series = family.get_metric();
    let data = match family.get_field_type() {
        MetricType::COUNTER => metric::Data::Sum(Sum {
            data_points: series
                .iter()
                .filter_map(|one| {
                    let total = Total {
                        value: one.get_counter().get_value(),
                        buckets: Vec::new(),
                    };
                    Some(number(one, changes(one, total)?.value, period))
                })
                .collect(),
            aggregation_temporality,
            is_monotonic: true,
        }),
        MetricType::GAUGE => metric::Data::Gauge(Gauge {
            data_points: series
                .iter()
                .map(|one| number(one, one.get_gauge().get_value(), period))
                .collect(),
        }),
        MetricType::HISTOGRAM => metric::Data::Histogram(Histogram {
            data_points: series
                .iter()
                .filter_map(|one| {
                    let histogram = one.get_histogram();
                    let total = Total {
                        value: histogram.get_sample_sum(),
                        buckets: buckets(histogram),
                    };
                    Some(distribution(one, changes(one, total)?, period))
                })
                .collect(),
            aggregation_temporality,
        }),
        // The registry has no other type.
        _ => return None,
    };
    let empty = match &data {
        metric::Data::Sum(sum) => sum.data_points.is_empty(),
        metric::Data::Gauge(gauge) => gauge.data_points.is_empty(),
        metric::Data::Histogram(histogram) => histogram.data_points.is_empty(),
        _ => true,
    };
    (!empty).then(|| Metric {
        name: family.name().to_owned(),
        description: family.help().to_owned(),
        unit: unit(family.name()).to_owned(),
        metadata: Vec::new(),
        data: Some(data),
    })
}

impl Total {
    /// Returns the difference to `before`, or `None` if nothing was added. A series that was removed and created again since
    /// then starts at zero.
    fn since(&self, before: Option<&Self>) -> Option<Self> {
        let Some(before) = before.filter(|before| before.value <= self.value) else {
            return (self.value != 0.0 || self.buckets.iter().any(|count| *count > 0)).then(|| self.clone());
        };
        let difference = Self {
            value: self.value - before.value,
            buckets: self
                .buckets
                .iter()
                .zip(&before.buckets)
                .map(|(now, then)| now.saturating_sub(*then))
                .collect(),
        };
        (self != before).then_some(difference)
    }
}

/// Returns the observations in each bucket; those of Prometheus are cumulative, and lack the one above the highest bound.
fn buckets(histogram: &prometheus_proto::Histogram) -> Vec<u64> {
    let mut below = 0;
    let cumulative = histogram
        .get_bucket()
        .iter()
        .map(prometheus_proto::Bucket::cumulative_count);
    cumulative
        .chain([histogram.get_sample_count()])
        .map(|count| count.saturating_sub(std::mem::replace(&mut below, count)))
        .collect()
}

fn number(series: &prometheus_proto::Metric, value: f64, period: Period) -> NumberDataPoint {
    NumberDataPoint {
        attributes: attributes(series),
        start_time_unix_nano: period.start,
        time_unix_nano: period.end,
        value: Some(number_data_point::Value::AsDouble(value)),
        ..NumberDataPoint::default()
    }
}

fn distribution(series: &prometheus_proto::Metric, total: Total, period: Period) -> HistogramDataPoint {
    HistogramDataPoint {
        attributes: attributes(series),
        start_time_unix_nano: period.start,
        time_unix_nano: period.end,
        count: total.buckets.iter().sum(),
        sum: Some(total.value),
        bucket_counts: total.buckets,
        explicit_bounds: series
            .get_histogram()
            .get_bucket()
            .iter()
            .map(prometheus_proto::Bucket::upper_bound)
            .collect(),
        ..HistogramDataPoint::default()
    }
}

fn labels(series: &prometheus_proto::Metric) -> Vec<(String, String)> {
    let pairs = series.get_label().iter();
    pairs
        .map(|pair| (pair.name().to_owned(), pair.value().to_owned()))
        .collect()
}

fn attributes(series: &prometheus_proto::Metric) -> Vec<KeyValue> {
    labels(series)
        .into_iter()
        .map(|(name, value)| attribute(name, value))
        .collect()
}

/// Returns a string attribute.
pub(super) fn attribute(key: String, value: String) -> KeyValue {
    KeyValue {
        key,
        value: Some(AnyValue {
            value: Some(any_value::Value::StringValue(value)),
        }),
        ..KeyValue::default()
    }
}

/// Returns the unit that the name of a metric ends with, as UCUM writes it (<https://ucum.org/ucum>).
fn unit(name: &str) -> &'static str {
    let name = name.strip_suffix("_total").unwrap_or(name);
    match name.rsplit('_').next() {
        Some("seconds") => "s",
        Some("bytes") => "By",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, IntGaugeVec, Opts, Registry};

    use super::*;

    const PERIOD: Period = Period { start: 1, end: 2 };

    struct Sample {
        registry: Registry,
        files: IntCounterVec,
        waiting: IntGaugeVec,
        duration: HistogramVec,
    }

    fn sample() -> Sample {
        let files = IntCounterVec::new(Opts::new("files_bytes_total", "Bytes."), &["stage"]).unwrap();
        let waiting = IntGaugeVec::new(Opts::new("waiting", "Files."), &["stage"]).unwrap();
        let options = HistogramOpts::new("duration_seconds", "Time.").buckets(vec![1.0, 5.0]);
        let duration = HistogramVec::new(options, &["stage"]).unwrap();
        let registry = Registry::new();
        registry.register(Box::new(files.clone())).unwrap();
        registry.register(Box::new(waiting.clone())).unwrap();
        registry.register(Box::new(duration.clone())).unwrap();
        Sample {
            registry,
            files,
            waiting,
            duration,
        }
    }

    impl Sample {
        /// Returns name, unit, and values (of a histogram: sum, then buckets) of all series, and the totals.
        fn export(&self, temporality: Temporality, before: &Totals) -> (Vec<(String, String, Vec<f64>)>, Totals) {
            let (metrics, totals) = convert(&self.registry.gather(), temporality, before, PERIOD);
            let values = |points: &[NumberDataPoint]| {
                let value = |point: &NumberDataPoint| match point.value {
                    Some(number_data_point::Value::AsDouble(value)) => value,
                    _ => panic!("not a double: {point:?}"),
                };
                points.iter().map(value).collect()
            };
            let shown = metrics.iter().map(|metric| {
                let values = match metric.data.as_ref().unwrap() {
                    metric::Data::Sum(sum) => values(&sum.data_points),
                    metric::Data::Gauge(gauge) => values(&gauge.data_points),
                    metric::Data::Histogram(histogram) => {
                        let point = &histogram.data_points[0];
                        assert_eq!(point.explicit_bounds, [1.0, 5.0]);
                        assert_eq!(point.count, point.bucket_counts.iter().sum::<u64>());
                        let counts = point.bucket_counts.iter().map(|count| *count as f64);
                        std::iter::once(point.sum.unwrap()).chain(counts).collect()
                    }
                    other => panic!("{other:?}"),
                };
                (metric.name.clone(), metric.unit.clone(), values)
            });
            (shown.collect(), totals)
        }
    }

    fn row(name: &str, unit: &str, values: &[f64]) -> (String, String, Vec<f64>) {
        (name.to_owned(), unit.to_owned(), values.to_vec())
    }

    #[test]
    fn cumulative_exports_repeat_everything() {
        let sample = sample();
        sample.files.with_label_values(&["upload"]).inc_by(7);
        sample.waiting.with_label_values(&["upload"]).set(3);
        for value in [0.5, 2.0, 2.5, 9.0] {
            sample.duration.with_label_values(&["upload"]).observe(value);
        }
        let expected = [
            row("duration_seconds", "s", &[14.0, 1.0, 2.0, 1.0]),
            row("files_bytes_total", "By", &[7.0]),
            row("waiting", "", &[3.0]),
        ];
        let (first, totals) = sample.export(Temporality::Cumulative, &Totals::default());
        assert_eq!(first, expected);
        assert_eq!(sample.export(Temporality::Cumulative, &totals).0, expected);
    }

    #[test]
    fn delta_exports_contain_what_was_added_since_the_last_accepted_one() {
        let sample = sample();
        sample.files.with_label_values(&["upload"]).inc_by(7);
        sample.files.with_label_values(&["download"]).inc_by(0);
        sample.waiting.with_label_values(&["upload"]).set(3);
        sample.duration.with_label_values(&["upload"]).observe(2.0);
        let (first, accepted) = sample.export(Temporality::Delta, &Totals::default());
        let all = [
            row("duration_seconds", "s", &[2.0, 0.0, 1.0, 0.0]),
            row("files_bytes_total", "By", &[7.0]),
            row("waiting", "", &[3.0]),
        ];
        assert_eq!(first, all);
        // Nothing was added: the gauge alone.
        assert_eq!(
            sample.export(Temporality::Delta, &accepted).0,
            [row("waiting", "", &[3.0])]
        );
        // An export that was refused is contained in the next one.
        sample.files.with_label_values(&["upload"]).inc_by(2);
        let _refused = sample.export(Temporality::Delta, &accepted);
        sample.files.with_label_values(&["upload"]).inc_by(3);
        sample.duration.with_label_values(&["upload"]).observe(6.0);
        assert_eq!(
            sample.export(Temporality::Delta, &accepted).0,
            [
                row("duration_seconds", "s", &[6.0, 0.0, 0.0, 1.0]),
                row("files_bytes_total", "By", &[5.0]),
                row("waiting", "", &[3.0]),
            ]
        );
    }
}

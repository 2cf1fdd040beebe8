//! Metrics over OTLP: for backends that do not scrape `/metrics`, such as Azure Monitor behind an OpenTelemetry Collector.
//!
//! A thread exports every metric of the registry at an interval, and once more when the process ends, because a container
//! that is scaled to zero would otherwise lose its last minute. An export that fails loses nothing: totals are kept, and the
//! next export covers the time since the last accepted one.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::JoinHandle;
use std::time::{SystemTime, UNIX_EPOCH};

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::InstrumentationScope;
use opentelemetry_proto::tonic::metrics::v1::{Metric, ResourceMetrics, ScopeMetrics};
use opentelemetry_proto::tonic::resource::v1::Resource;
use parking_lot::Mutex;
use prometheus::proto::MetricFamily;
use prost::Message as _;
use secrecy::ExposeSecret as _;

use crate::metrics::gather;
use convert::{Period, Totals, attribute, convert};
use xact_config::{MetricsExport, Temporality};
use xact_contracts::redaction::{redact_text, redact_url};

mod convert;

static EXPORTER: Mutex<Option<Exporter>> = Mutex::new(None);

/// The thread, and the channel whose closing ends it.
struct Exporter {
    stop: mpsc::Sender<()>,
    thread: JoinHandle<()>,
}

/// Starts the export. `resource` describes the process.
///
/// # Errors
/// If the thread cannot be started.
pub(crate) fn start(settings: &MetricsExport, resource: &opentelemetry_sdk::Resource) -> std::io::Result<()> {
    let (settings, resource) = (settings.clone(), proto_resource(resource));
    let (stop, stopped) = mpsc::channel();
    let run = move || {
        let interval = settings.interval;
        // The client is created here: a blocking client must not be created or dropped by a thread of an async runtime.
        let mut export = match Export::new(settings, resource) {
            Ok(export) => export,
            Err(error) => return tracing::error!(%error, "metrics cannot be exported over OTLP"),
        };
        while stopped.recv_timeout(interval) == Err(RecvTimeoutError::Timeout) {
            export.send(&gather());
        }
        export.send(&gather());
    };
    let thread = std::thread::Builder::new().name("otlp-metrics".to_owned()).spawn(run)?;
    *EXPORTER.lock() = Some(Exporter { stop, thread });
    Ok(())
}

/// Exports once more and ends the export. Blocks for two timeouts of a request at most.
pub(crate) fn flush() {
    let exporter = EXPORTER.lock().take();
    if let Some(Exporter { stop, thread }) = exporter {
        drop(stop);
        let _ = thread.join();
    }
}

/// Returns the attributes of the process, with an id of the instance: replicas of one stage export series with the same
/// labels, and only the id distinguishes them. <https://opentelemetry.io/docs/specs/semconv/resource/#service>
fn proto_resource(resource: &opentelemetry_sdk::Resource) -> Resource {
    let instance = ("service.instance.id".to_owned(), format!("{:032x}", fastrand::u128(..)));
    let attributes = resource.iter().map(|(key, value)| (key.to_string(), value.to_string()));
    Resource {
        attributes: attributes
            .chain([instance])
            .map(|(key, value)| attribute(key, value))
            .collect(),
        ..Resource::default()
    }
}

/// The state of the export between two requests.
struct Export {
    settings: MetricsExport,
    client: reqwest::blocking::Client,
    resource: Resource,
    /// Totals of the last export that was accepted, and its time.
    accepted: Totals,
    since: u64,
    failing: bool,
}

impl Export {
    fn new(settings: MetricsExport, resource: Resource) -> Result<Self, reqwest::Error> {
        let client = reqwest::blocking::Client::builder()
            .timeout(settings.collector.timeout)
            .build()?;
        Ok(Self {
            settings,
            client,
            resource,
            accepted: Totals::default(),
            since: now(),
            failing: false,
        })
    }

    /// Sends one export. A failure is logged once, until an export is accepted again.
    fn send(&mut self, families: &[MetricFamily]) {
        let period = Period {
            start: self.since,
            end: now(),
        };
        let (metrics, totals) = convert(families, self.settings.temporality, &self.accepted, period);
        let result = self.post(metrics);
        let endpoint = redact_url(&self.settings.collector.url);
        match (&result, self.failing) {
            (Err(reason), false) => tracing::warn!(
                endpoint,
                reason = redact_text(reason),
                "metrics cannot be exported over OTLP; the next export contains them"
            ),
            (Ok(()), true) => tracing::info!(endpoint, "metrics are exported again"),
            _ => {}
        }
        self.failing = result.is_err();
        if result.is_ok() && self.settings.temporality == Temporality::Delta {
            self.accepted = totals;
            self.since = period.end;
        }
    }

    fn post(&self, metrics: Vec<Metric>) -> Result<(), String> {
        let scope = InstrumentationScope {
            name: "xact-pipeline".to_owned(),
            ..InstrumentationScope::default()
        };
        let scope_metrics = vec![ScopeMetrics {
            scope: Some(scope),
            metrics,
            ..ScopeMetrics::default()
        }];
        let resource = Some(self.resource.clone());
        let resource_metrics = vec![ResourceMetrics {
            resource,
            scope_metrics,
            ..ResourceMetrics::default()
        }];
        let mut request = self
            .client
            .post(&self.settings.collector.url)
            .header("content-type", "application/x-protobuf")
            .body(ExportMetricsServiceRequest { resource_metrics }.encode_to_vec());
        for (name, value) in &self.settings.collector.headers {
            request = request.header(name, value.expose_secret());
        }
        let answer = request.send().map_err(|error| error.without_url().to_string())?;
        match answer.status() {
            status if status.is_success() => Ok(()),
            status => Err(format!("status {status}")),
        }
    }
}

/// Nanoseconds since 1970.
fn now() -> u64 {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since_1970.as_nanos()).unwrap_or(u64::MAX)
}

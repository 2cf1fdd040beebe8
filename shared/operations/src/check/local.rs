//! The cache volume, the audit log, and the collector of traces and metrics.

use std::sync::Arc;

use reqwest::StatusCode;
use secrecy::ExposeSecret as _;

use super::finding::{Finding, Found};
use crate::blocking::blocking;
use xact_cache::Volume;
use xact_config::{Collector, Settings};
use xact_contracts::error_cause::innermost;

/// Writes and deletes a test file, and reads how full the volume is.
pub(super) async fn cache(settings: Arc<Settings>) -> Found {
    blocking(move || {
        let folder = &settings.cache_dir;
        xact_cache::probe(folder)?;
        let volume = Volume::of(folder)?;
        volume.check(folder)?;
        let free = volume.free_bytes / (1024 * 1024);
        Ok(Finding::ok(format_args!(
            "{}: writable, {free} MiB free",
            folder.display()
        )))
    })
    .await
}

/// Opens it as the dlq stage does.
pub(super) async fn audit_log(settings: Arc<Settings>) -> Found {
    let Some(path) = &settings.audit_log else {
        return Ok(Finding::skipped(
            "AUDIT_LOG_PATH is not set: audit lines are written to the log",
        ));
    };
    let open = || {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::OpenOptions::new().append(true).create(true).open(path)
    };
    let path = path.display();
    open().map_err(|error| {
        format!("AUDIT_LOG_PATH {path}: {error}; set it to a file that this process may write, or unset it")
    })?;
    Ok(Finding::ok(format_args!("{path}: writable")))
}

/// Sends an empty OTLP request to each collector, which is valid: an endpoint that accepts it speaks OTLP.
pub(super) async fn collector(settings: Arc<Settings>) -> Found {
    let Some(otlp) = &settings.otlp else {
        return Ok(Finding::skipped(
            "OTEL_EXPORTER_OTLP_ENDPOINT is not set: no traces and metrics are sent",
        ));
    };
    let traces = accepts(&otlp.traces).await?;
    let Some(metrics) = &otlp.metrics else {
        return Ok(Finding::ok(format_args!("{traces} accepts traces")));
    };
    let metrics = accepts(&metrics.collector).await?;
    Ok(Finding::ok(format_args!("{traces} accepts traces, {metrics} metrics")))
}

/// Returns the URL of a collector that accepts a request, to print.
async fn accepts(collector: &Collector) -> Result<String, String> {
    let shown = xact_contracts::redaction::redact_url(&collector.url);
    let sent = async {
        let client = reqwest::Client::builder().timeout(collector.timeout).build()?;
        let request = client
            .post(&collector.url)
            .header("content-type", "application/x-protobuf");
        let headers = collector.headers.iter();
        let request = headers.fold(request, |request, (name, value)| {
            request.header(name, value.expose_secret())
        });
        request.body(Vec::new()).send().await
    };
    let answer = sent.await.map_err(|error| {
        format!(
            "{shown} cannot be reached: {}; check OTEL_EXPORTER_OTLP_ENDPOINT and the network. The pipeline runs without it, \
             and sends no traces and metrics",
            innermost(&error)
        )
    })?;
    match answer.status() {
        status if status.is_success() => Ok(shown),
        status @ (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => {
            Err(format!("{shown} answers {status}: check OTEL_EXPORTER_OTLP_HEADERS"))
        }
        status => Err(format!(
            "{shown} answers {status}: check OTEL_EXPORTER_OTLP_ENDPOINT, it must be the collector's OTLP/HTTP port (4318), without a path"
        )),
    }
}

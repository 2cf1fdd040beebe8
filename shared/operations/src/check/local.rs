//! The cache volume, the audit log, and the collector of traces.

use std::sync::Arc;
use std::time::Duration;

use reqwest::StatusCode;

use super::finding::{Finding, Found};
use crate::blocking::blocking;
use xact_cache::Volume;
use xact_config::Settings;
use xact_contracts::error_cause::innermost;

/// Maximum wait for the collector.
const COLLECTOR_TIMEOUT: Duration = Duration::from_secs(10);

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

/// Sends an empty OTLP request, which is valid: an endpoint that accepts it speaks OTLP.
pub(super) async fn traces(settings: Arc<Settings>) -> Found {
    let Some(endpoint) = &settings.otlp_endpoint else {
        return Ok(Finding::skipped(
            "OTEL_EXPORTER_OTLP_ENDPOINT is not set: no traces are sent",
        ));
    };
    let url = format!("{}/v1/traces", endpoint.trim_end_matches('/'));
    let shown = xact_contracts::redaction::redact_url(&url);
    let sent = async {
        let client = reqwest::Client::builder().timeout(COLLECTOR_TIMEOUT).build()?;
        let request = client.post(&url).header("content-type", "application/x-protobuf");
        request.body(Vec::new()).send().await
    };
    let answer = sent.await.map_err(|error| {
        format!(
            "{shown} cannot be reached: {}; check OTEL_EXPORTER_OTLP_ENDPOINT and the network. The pipeline runs without it, \
             and sends no traces",
            innermost(&error)
        )
    })?;
    Ok(match answer.status() {
        status if status.is_success() => Finding::ok(format_args!("{shown} accepts traces")),
        // This check does not send OTEL_EXPORTER_OTLP_HEADERS; the exporter does.
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Finding::ok(format_args!(
            "{shown} is reachable but requires authentication: set OTEL_EXPORTER_OTLP_HEADERS"
        )),
        status => Finding::failed(format_args!(
            "{shown} answers {status}: check OTEL_EXPORTER_OTLP_ENDPOINT, it must be the collector's OTLP/HTTP port (4318), without a path"
        )),
    })
}

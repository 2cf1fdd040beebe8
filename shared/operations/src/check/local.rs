//! The cache volume, the audit log, and the collector of traces.

use std::sync::Arc;
use std::time::Duration;

use super::finding::Finding;
use crate::blocking::blocking;
use xact_cache::Volume;
use xact_config::Settings;
use xact_contracts::error_cause::innermost;

/// Maximum wait for the collector.
const COLLECTOR_TIMEOUT: Duration = Duration::from_secs(10);

/// Writes and deletes a test file, and reads how full the volume is.
pub(super) async fn cache(settings: Arc<Settings>) -> Finding {
    blocking(move || {
        let folder = &settings.cache_dir;
        let volume = match xact_cache::probe(folder).and_then(|()| Volume::of(folder)) {
            Ok(volume) => volume,
            Err(error) => return Finding::failed(error),
        };
        match volume.check(folder) {
            Ok(()) => Finding::ok(format_args!(
                "{}: writable, {} MiB free",
                folder.display(),
                volume.free_bytes / (1024 * 1024)
            )),
            Err(full) => Finding::failed(full),
        }
    })
    .await
}

/// Opens it as the dlq stage does.
pub(super) async fn audit_log(settings: Arc<Settings>) -> Finding {
    let Some(path) = &settings.audit_log else {
        return Finding::skipped("AUDIT_LOG_PATH is not set: audit lines are written to the log");
    };
    let open = || {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::OpenOptions::new().append(true).create(true).open(path)
    };
    match open() {
        Ok(_) => Finding::ok(format_args!("{}: writable", path.display())),
        Err(error) => Finding::failed(format_args!(
            "AUDIT_LOG_PATH {}: {error}; set it to a file that this process may write, or unset it",
            path.display()
        )),
    }
}

/// Sends an empty OTLP request, which is valid: an endpoint that accepts it speaks OTLP.
pub(super) async fn traces(settings: Arc<Settings>) -> Finding {
    let Some(endpoint) = &settings.otlp_endpoint else {
        return Finding::skipped("OTEL_EXPORTER_OTLP_ENDPOINT is not set: no traces are sent");
    };
    let url = format!("{}/v1/traces", endpoint.trim_end_matches('/'));
    let shown = xact_contracts::redaction::redact_url(&url);
    let sent = match reqwest::Client::builder().timeout(COLLECTOR_TIMEOUT).build() {
        Ok(client) => {
            let request = client.post(&url).header("content-type", "application/x-protobuf");
            request.body(Vec::new()).send().await
        }
        Err(error) => Err(error),
    };
    match sent {
        Ok(answer) if answer.status().is_success() => Finding::ok(format_args!("{shown} accepts traces")),
        // This check does not send OTEL_EXPORTER_OTLP_HEADERS; the exporter does.
        Ok(answer) if matches!(answer.status().as_u16(), 401 | 403) => Finding::ok(format_args!(
            "{shown} is reachable but requires authentication: set OTEL_EXPORTER_OTLP_HEADERS"
        )),
        Ok(answer) => Finding::failed(format_args!(
            "{shown} answers {}: check OTEL_EXPORTER_OTLP_ENDPOINT, it must be the collector's OTLP/HTTP port (4318), without a path",
            answer.status()
        )),
        Err(error) => Finding::failed(format_args!(
            "{shown} cannot be reached: {}; check OTEL_EXPORTER_OTLP_ENDPOINT and the network. The pipeline runs without it, \
             and sends no traces",
            innermost(&error)
        )),
    }
}

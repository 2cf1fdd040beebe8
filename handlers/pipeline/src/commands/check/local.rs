//! What is on this machine or beside it: the cache volume, the audit log, the collector of traces.

use std::sync::Arc;
use std::time::Duration;

use super::Verdict;
use xact_cache::Volume;
use xact_config::Settings;

/// Longest wait for the collector.
const COLLECTOR: Duration = Duration::from_secs(10);

/// Writes and deletes a test file; how full the volume is.
pub(super) async fn cache(settings: Arc<Settings>) -> Verdict {
    let work = move || {
        let folder = &settings.cache_dir;
        let volume = match xact_cache::probe(folder).and_then(|()| Volume::of(folder)) {
            Ok(volume) => volume,
            Err(error) => return Verdict::failed(&error),
        };
        match volume.check(folder) {
            Ok(()) => Verdict::Ok(format!(
                "{}: writable, {} MiB free",
                folder.display(),
                volume.free_bytes / (1024 * 1024)
            )),
            Err(full) => Verdict::failed(&full),
        }
    };
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|error| Verdict::failed(&error))
}

/// Opens it as its handler does.
pub(super) async fn audit_log(settings: Arc<Settings>) -> Verdict {
    let Some(path) = settings.audit_log.clone() else {
        return Verdict::Skipped("AUDIT_LOG_PATH is not set: audit lines go into the log".to_owned());
    };
    let open = || {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::OpenOptions::new().append(true).create(true).open(&path)
    };
    match open() {
        Ok(_) => Verdict::Ok(format!("{}: may be appended to", path.display())),
        Err(error) => Verdict::Failed(format!(
            "AUDIT_LOG_PATH {}: {error}; name a file that this process may write, or none",
            path.display()
        )),
    }
}

/// Sends no spans, as OTLP allows: whoever answers that with success speaks OTLP.
pub(super) async fn traces(settings: Arc<Settings>) -> Verdict {
    let Some(endpoint) = &settings.otlp_endpoint else {
        return Verdict::Skipped("OTEL_EXPORTER_OTLP_ENDPOINT is not set: no traces are sent".to_owned());
    };
    let url = format!("{}/v1/traces", endpoint.trim_end_matches('/'));
    let shown = xact_contracts::redaction::redact_url(&url);
    let sent = match reqwest::Client::builder().timeout(COLLECTOR).build() {
        Ok(client) => {
            let request = client.post(&url).header("content-type", "application/x-protobuf");
            request.body(Vec::new()).send().await
        }
        Err(error) => Err(error),
    };
    match sent {
        Ok(answer) if answer.status().is_success() => Verdict::Ok(format!("{shown} takes traces")),
        // Headers (OTEL_EXPORTER_OTLP_HEADERS) are the exporter's: somebody is there, and wants to know who we are.
        Ok(answer) if matches!(answer.status().as_u16(), 401 | 403) => {
            Verdict::Ok(format!("{shown} answers, and wants OTEL_EXPORTER_OTLP_HEADERS"))
        }
        Ok(answer) => Verdict::Failed(format!(
            "{shown} answers {}: check OTEL_EXPORTER_OTLP_ENDPOINT, it must be the collector's OTLP/HTTP port (4318), without a path",
            answer.status()
        )),
        Err(error) => Verdict::Failed(format!(
            "{shown} cannot be reached: {}; check OTEL_EXPORTER_OTLP_ENDPOINT and the network. The pipeline runs without it, \
             and sends no traces",
            innermost(&error)
        )),
    }
}

fn innermost(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}

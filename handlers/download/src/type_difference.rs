//! Files whose content differs from what their name or their server says.

use tracing::warn;

use xact_contracts::file_rules::{Declared, FileType, Judged};
use xact_contracts::messages::DownloadTask;
use xact_telemetry::metrics::metrics;

/// Counts and logs a file whose content differs from its name or from the server's `Content-Type`.
pub(crate) fn report(task: &DownloadTask, judged: &Judged) {
    if !judged.differs() {
        return;
    }
    let named = judged.named.map_or("UNKNOWN", FileType::label);
    let declared = match judged.declared {
        Declared::Nothing | Declared::Fits => "fits",
        Declared::Differs(Some(other)) => other.label(),
        Declared::Differs(None) => "other",
        Declared::Active => "active",
    };
    let found = judged.file_type.label();
    metrics().attachment_type_differences(named, declared, found).inc();
    warn!(
        trace_id = task.trace_id,
        media_id = %task.media_id,
        named,
        declared = judged.declared_content_type,
        found,
        "the attachment's content differs from its name or from the server's Content-Type; it is stored as what it is"
    );
}

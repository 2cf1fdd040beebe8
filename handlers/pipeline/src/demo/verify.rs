//! Counts the results of a demo in the lake, the tables and the audit log, and compares them with what was sent.
//!
//! No counter of the stages is used, and neither is `reconcile`: that takes the raw topic for what was sent, of which the
//! embedded broker has dropped a part. The demo records what it sent and the expected outcome of each attachment.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io::{BufRead, Read};
use std::path::Path;

use jiff::Timestamp;
use sha2::{Digest, Sha256};

use super::events::{Attachment, Expected, Kind, Sample};
use crate::outcome::CommandError;
use xact_config::Settings;
use xact_contracts::ids;
use xact_lake::arrow::array::RecordBatch;
use xact_lake::{AttachmentRow, EventRow, FailedRow, Location};
use xact_operations::columns::{instant, number, size, text};
use xact_table_sink::{Configured, table};

/// The results of the attachments of one kind.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct KindCounts {
    pub(crate) sent: usize,
    pub(crate) files: usize,
    pub(crate) failed: usize,
    pub(crate) retried: usize,
    /// Neither a file nor a failed row, or a file that differs from what was served.
    pub(crate) lost: usize,
    /// A result other than the expected one.
    pub(crate) unexpected: usize,
}

/// The results of a demo.
#[derive(Debug, Default)]
pub(crate) struct DemoResults {
    pub(crate) events: usize,
    pub(crate) messages: usize,
    pub(crate) event_rows: usize,
    pub(crate) attachment_rows: usize,
    pub(crate) failed_rows: usize,
    pub(crate) files: usize,
    pub(crate) bytes: u64,
    pub(crate) lost_events: usize,
    pub(crate) duplicates: usize,
    pub(crate) unreadable_sent: usize,
    pub(crate) unreadable_letters: usize,
    pub(crate) attachments: BTreeMap<Kind, KindCounts>,
    pub(crate) dead_letters: BTreeMap<String, usize>,
    /// Seconds from event to row, sorted.
    pub(crate) latencies: Vec<f64>,
    /// Seconds from the first event to the last row.
    pub(crate) span: f64,
}

impl DemoResults {
    /// Returns the attachments without a result, or with a file that differs from what was served.
    pub(crate) fn lost(&self) -> usize {
        self.attachments.values().map(|counts| counts.lost).sum()
    }

    fn unexpected(&self) -> usize {
        self.attachments.values().map(|counts| counts.unexpected).sum()
    }

    /// Returns whether everything has exactly one result, and the expected one.
    pub(crate) fn is_well(&self) -> bool {
        self.lost() == 0
            && self.unexpected() == 0
            && self.lost_events == 0
            && self.duplicates == 0
            && self.unreadable_letters == self.unreadable_sent
    }
}

/// Reads tables, lake and audit log and compares them with what was sent.
pub(crate) async fn verify(settings: &Settings, sent: Vec<Sample>) -> Result<DemoResults, CommandError> {
    let rows = Rows::read(settings).await?;
    let files = Location::parse(&settings.onelake_base_path)?
        .as_local()
        .map(Path::to_owned)
        .ok_or("the demo verifies a local lake only")?;
    let audit = settings.audit_log.clone();
    // Every file is hashed, which keeps a core busy.
    tokio::task::spawn_blocking(move || {
        let mut results = count(&sent, &rows, &files);
        if let Some(audit) = audit {
            count_dead_letters(&audit, &sent, &mut results)?;
        }
        Ok(results)
    })
    .await?
}

/// A row about an attachment.
struct Row {
    created_at: Timestamp,
    retry_count: i32,
    /// `None` for a failed attachment.
    file: Option<RowFile>,
}

/// The file of a completed attachment as its row describes it.
struct RowFile {
    path: String,
    bytes: i64,
    sha256: String,
}

type ById<T> = HashMap<String, Vec<T>>;

/// All rows.
struct Rows {
    /// When each row of an event was written.
    events: ById<Timestamp>,
    completed: ById<Row>,
    failed: ById<Row>,
}

impl Rows {
    async fn read(settings: &Settings) -> Result<Self, CommandError> {
        let ingested_at = |batch: &RecordBatch, row| instant(batch, "ingested_at", row);
        let events = read::<EventRow, _>(settings, &["event_id", "ingested_at"], ingested_at);
        let columns = ["media_id", "created_at", "retry_count"];
        let file_columns = [&columns[..], &["blob_path", "bytes_downloaded", "sha256"]].concat();
        let completed = read::<AttachmentRow, _>(settings, &file_columns, |batch, row| Row {
            file: Some(RowFile {
                path: text(batch, "blob_path", row).to_owned(),
                sha256: text(batch, "sha256", row).to_owned(),
                bytes: size(batch, "bytes_downloaded", row),
            }),
            ..failed_row(batch, row)
        });
        let failed = read::<FailedRow, _>(settings, &columns, failed_row);
        Ok(Self {
            events: events.await?,
            completed: completed.await?,
            failed: failed.await?,
        })
    }
}

fn failed_row(batch: &RecordBatch, row: usize) -> Row {
    Row {
        created_at: instant(batch, "created_at", row),
        retry_count: number(batch, "retry_count", row),
        file: None,
    }
}

/// Reads the columns of a table; the first is the id.
async fn read<R: Configured, T>(
    settings: &Settings,
    columns: &[&str],
    value: impl Fn(&RecordBatch, usize) -> T,
) -> Result<ById<T>, CommandError> {
    let mut rows = ById::new();
    for batch in table::<R>(settings)?.scan(columns).await? {
        for row in 0..batch.num_rows() {
            let id = text(&batch, columns[0], row).to_owned();
            rows.entry(id).or_insert_with(Vec::new).push(value(&batch, row));
        }
    }
    Ok(rows)
}

fn count(sent: &[Sample], rows: &Rows, files: &Path) -> DemoResults {
    let mut results = DemoResults::default();
    let mut last_row: Option<Timestamp> = None;
    for sample in sent {
        results.messages += sample.times;
        if sample.kind == Kind::Unreadable {
            results.unreadable_sent += 1;
            continue;
        }
        results.events += 1;
        let event_id = ids::event_id(&sample.trace_id).to_string();
        let written = rows.events.get(&event_id).map_or(&[][..], Vec::as_slice);
        results.event_rows += written.len();
        results.lost_events += usize::from(written.is_empty());
        results.duplicates += written.len().saturating_sub(1);
        last_row = last_row.max(written.iter().max().copied());
        for attachment in &sample.attachments {
            let last = count_attachment(sample, attachment, rows, files, &mut results);
            last_row = last_row.max(last);
        }
    }
    results.latencies.sort_by(f64::total_cmp);
    let first = sent.iter().filter_map(|sample| Some(sample.sent.as_ref()?.0)).min();
    if let (Some(first), Some(last)) = (first, last_row) {
        results.span = last.duration_since(first).as_secs_f64();
    }
    results
}

/// Returns the time of the attachment's last row.
fn count_attachment(
    sample: &Sample,
    attachment: &Attachment,
    rows: &Rows,
    files: &Path,
    results: &mut DemoResults,
) -> Option<Timestamp> {
    let id = attachment.media_id.to_string();
    let completed = rows.completed.get(&id).map_or(&[][..], Vec::as_slice);
    let failed = rows.failed.get(&id).map_or(&[][..], Vec::as_slice);
    results.attachment_rows += completed.len();
    results.failed_rows += failed.len();
    results.duplicates += (completed.len() + failed.len()).saturating_sub(1);
    let file = completed.first().and_then(|row| row.file.as_ref());
    let bytes = file.and_then(|file| matching_file(files, file, attachment));
    let counts = results.attachments.entry(attachment.kind).or_default();
    counts.sent += 1;
    counts.failed += failed.len();
    counts.files += usize::from(bytes.is_some());
    counts.lost += usize::from(bytes.is_none() && failed.is_empty());
    counts.unexpected += usize::from(match attachment.kind.expected() {
        Expected::File => bytes.is_none(),
        Expected::Failed => failed.is_empty(),
    });
    if let Some(bytes) = bytes {
        results.files += 1;
        results.bytes += bytes;
    }
    let all = || completed.iter().chain(failed);
    counts.retried += all().filter(|row| row.retry_count > 0).count();
    if let Some((sent_at, _)) = sample.sent {
        let latencies = all().map(|row| row.created_at.duration_since(sent_at).as_secs_f64());
        results.latencies.extend(latencies);
    }
    all().map(|row| row.created_at).max()
}

/// Returns the size of a file that has exactly the content of the sample server.
fn matching_file(root: &Path, row: &RowFile, attachment: &Attachment) -> Option<u64> {
    let content = attachment.content()?;
    let mut file = std::fs::File::open(root.join(&row.path)).ok()?;
    let mut hash = Sha256::new();
    let mut bytes = 0;
    let mut buffer = vec![0; 256 * 1024];
    loop {
        let read = file.read(&mut buffer).ok()?;
        if read == 0 {
            break;
        }
        hash.update(&buffer[..read]);
        bytes += read as u64;
    }
    let sha256 = hex::encode(hash.finalize());
    let is_equal = sha256 == content.sha256()
        && sha256 == row.sha256
        && i64::try_from(bytes).is_ok_and(|bytes| bytes == row.bytes);
    is_equal.then_some(bytes)
}

/// Counts the dead letters of this run by category. An unreadable message has no media id; its trace id is the record's key.
fn count_dead_letters(audit: &Path, sent: &[Sample], results: &mut DemoResults) -> Result<(), CommandError> {
    let kinds: HashMap<&str, Kind> = sent
        .iter()
        .map(|sample| (sample.trace_id.as_str(), sample.kind))
        .collect();
    let Ok(file) = std::fs::File::open(audit) else {
        return Ok(());
    };
    let mut unreadable = HashSet::new();
    for line in std::io::BufReader::new(file).lines() {
        let line: serde_json::Value = serde_json::from_str(&line?)?;
        let field = |name: &str| line[name].as_str().unwrap_or_default().to_owned();
        let Some(kind) = kinds.get(field("trace_id").as_str()) else {
            continue;
        };
        *results.dead_letters.entry(field("error_category")).or_default() += 1;
        if *kind == Kind::Unreadable {
            unreadable.insert(field("trace_id"));
        }
    }
    results.unreadable_letters = unreadable.len();
    Ok(())
}

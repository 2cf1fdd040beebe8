//! Counts what came of a demo, from the lake, the tables and the audit log: not from any counter of the stages.

use std::collections::{BTreeMap, HashMap};
use std::io::{BufRead, Read};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use sha2::{Digest, Sha256};

use super::events::{Attachment, Expected, Kind, Sample};
use xact_config::Settings;
use xact_lake::arrow::array::RecordBatch;
use xact_lake::{AttachmentRow, EventRow, FailedRow, Location};
use xact_operations::columns::{instant, number, size, text};
use xact_table_sink::Configured;

type Error = Box<dyn std::error::Error + Send + Sync>;

/// What became of the attachments or events of one kind.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) sent: usize,
    pub(crate) files: usize,
    pub(crate) failed: usize,
    pub(crate) retried: usize,
    /// Neither file nor failure, or a file that is not what was served.
    pub(crate) lost: usize,
    /// Another end than the kind must have.
    pub(crate) unexpected: usize,
}

/// All that was counted.
#[derive(Debug, Default)]
pub(crate) struct Verified {
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
    pub(crate) attachments: BTreeMap<Kind, Tally>,
    pub(crate) dead_letters: BTreeMap<String, usize>,
    /// Seconds from event to row, sorted.
    pub(crate) latencies: Vec<f64>,
    /// From the first event to the last row.
    pub(crate) span: f64,
}

impl Verified {
    /// Attachments that are nowhere, or not what was served.
    pub(crate) fn lost(&self) -> usize {
        self.attachments.values().map(|tally| tally.lost).sum()
    }

    /// Attachments that ended otherwise than their kind must.
    pub(crate) fn unexpected(&self) -> usize {
        self.attachments.values().map(|tally| tally.unexpected).sum()
    }

    /// Everything is accounted for exactly once.
    pub(crate) fn is_well(&self) -> bool {
        self.lost() == 0
            && self.unexpected() == 0
            && self.lost_events == 0
            && self.duplicates == 0
            && self.unreadable_letters == self.unreadable_sent
    }
}

/// A row about an attachment.
struct Row {
    created_at: Timestamp,
    retry_count: i32,
    file: Option<FileClaim>,
}

/// What the table says of a file.
struct FileClaim {
    path: String,
    bytes: i64,
    sha256: String,
}

/// Reads lake, tables and audit log, and compares them with what was sent.
pub(crate) async fn verify(settings: &Settings, sent: Vec<Sample>) -> Result<Verified, Error> {
    let events = read_events(settings).await?;
    let completed = read_attachments(settings).await?;
    let failed = read_failed(settings).await?;
    let files = Location::parse(&settings.onelake_base_path)?
        .as_local()
        .map(Path::to_owned)
        .ok_or("the demo verifies a local lake only")?;
    let audit = settings.audit_log.clone();
    // Hashing every file keeps a core busy for a while.
    tokio::task::spawn_blocking(move || {
        let mut verified = count(&sent, &events, &completed, &failed, &files);
        if let Some(audit) = audit {
            count_dead_letters(&audit, &sent, &mut verified)?;
        }
        Ok(verified)
    })
    .await?
}

fn count(
    sent: &[Sample],
    events: &HashMap<String, Vec<Timestamp>>,
    completed: &HashMap<String, Vec<Row>>,
    failed: &HashMap<String, Vec<Row>>,
    files: &Path,
) -> Verified {
    let mut verified = Verified::default();
    let mut last_row: Option<Timestamp> = None;
    for sample in sent {
        verified.messages += sample.times;
        if sample.kind == Kind::Unreadable {
            verified.unreadable_sent += 1;
            continue;
        }
        verified.events += 1;
        let event_id = xact_contracts::ids::event_id(&sample.trace_id).to_string();
        let rows = events.get(&event_id).map_or(&[][..], Vec::as_slice);
        verified.event_rows += rows.len();
        verified.lost_events += usize::from(rows.is_empty());
        verified.duplicates += rows.len().saturating_sub(1);
        last_row = last_row.max(rows.iter().max().copied());
        for attachment in &sample.attachments {
            let id = attachment.media_id.to_string();
            let done = completed.get(&id).map_or(&[][..], Vec::as_slice);
            let gone = failed.get(&id).map_or(&[][..], Vec::as_slice);
            verified.attachment_rows += done.len();
            verified.failed_rows += gone.len();
            verified.duplicates += (done.len() + gone.len()).saturating_sub(1);
            let tally = verified.attachments.entry(attachment.kind).or_default();
            tally.sent += 1;
            tally.failed += gone.len();
            let bytes = done
                .first()
                .and_then(|row| good_file(files, row.file.as_ref()?, attachment));
            tally.files += usize::from(bytes.is_some());
            tally.lost += usize::from(bytes.is_none() && gone.is_empty());
            tally.unexpected += usize::from(match attachment.kind.expected() {
                Expected::File => bytes.is_none(),
                Expected::Failed => gone.is_empty(),
            });
            if let Some(bytes) = bytes {
                verified.files += 1;
                verified.bytes += bytes;
            }
            for row in done.iter().chain(gone) {
                tally.retried += usize::from(row.retry_count > 0);
                last_row = last_row.max(Some(row.created_at));
                if let Some((at, _)) = sample.sent {
                    verified.latencies.push(row.created_at.duration_since(at).as_secs_f64());
                }
            }
        }
    }
    verified.latencies.sort_by(f64::total_cmp);
    let first = sent.iter().filter_map(|sample| Some(sample.sent.as_ref()?.0)).min();
    if let (Some(first), Some(last)) = (first, last_row) {
        verified.span = last.duration_since(first).as_secs_f64();
    }
    verified
}

/// Size of the file, if it is byte for byte what the sample server has.
fn good_file(root: &Path, claim: &FileClaim, attachment: &Attachment) -> Option<u64> {
    let content = attachment.content()?;
    let mut file = std::fs::File::open(root.join(PathBuf::from(&claim.path))).ok()?;
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
    let is_good = sha256 == content.sha256()
        && sha256 == claim.sha256
        && i64::try_from(bytes).is_ok_and(|bytes| bytes == claim.bytes);
    is_good.then_some(bytes)
}

/// Dead letters of this run by category; an unreadable message has no media id, so its trace id is the record's key.
fn count_dead_letters(audit: &Path, sent: &[Sample], verified: &mut Verified) -> Result<(), Error> {
    let ours: HashMap<&str, Kind> = sent
        .iter()
        .map(|sample| (sample.trace_id.as_str(), sample.kind))
        .collect();
    let Ok(file) = std::fs::File::open(audit) else {
        return Ok(());
    };
    let mut unreadable = std::collections::HashSet::new();
    for line in std::io::BufReader::new(file).lines() {
        let line: serde_json::Value = serde_json::from_str(&line?)?;
        let text = |name: &str| line[name].as_str().unwrap_or_default().to_owned();
        let Some(kind) = ours.get(text("trace_id").as_str()) else {
            continue;
        };
        *verified.dead_letters.entry(text("error_category")).or_default() += 1;
        if *kind == Kind::Unreadable {
            unreadable.insert(text("trace_id"));
        }
    }
    verified.unreadable_letters = unreadable.len();
    Ok(())
}

async fn scan<R: Configured>(settings: &Settings, columns: &[&str]) -> Result<Vec<RecordBatch>, Error> {
    Ok(xact_table_sink::table::<R>(settings)?.scan(columns).await?)
}

async fn read_events(settings: &Settings) -> Result<HashMap<String, Vec<Timestamp>>, Error> {
    let mut rows: HashMap<String, Vec<Timestamp>> = HashMap::new();
    for batch in scan::<EventRow>(settings, &["event_id", "ingested_at"]).await? {
        for row in 0..batch.num_rows() {
            rows.entry(text(&batch, "event_id", row).to_owned())
                .or_default()
                .push(instant(&batch, "ingested_at", row));
        }
    }
    Ok(rows)
}

async fn read_attachments(settings: &Settings) -> Result<HashMap<String, Vec<Row>>, Error> {
    let columns = [
        "media_id",
        "created_at",
        "retry_count",
        "blob_path",
        "bytes_downloaded",
        "sha256",
    ];
    let mut rows: HashMap<String, Vec<Row>> = HashMap::new();
    for batch in scan::<AttachmentRow>(settings, &columns).await? {
        for row in 0..batch.num_rows() {
            rows.entry(text(&batch, "media_id", row).to_owned())
                .or_default()
                .push(Row {
                    created_at: instant(&batch, "created_at", row),
                    retry_count: number(&batch, "retry_count", row),
                    file: Some(FileClaim {
                        path: text(&batch, "blob_path", row).to_owned(),
                        sha256: text(&batch, "sha256", row).to_owned(),
                        bytes: size(&batch, "bytes_downloaded", row),
                    }),
                });
        }
    }
    Ok(rows)
}

async fn read_failed(settings: &Settings) -> Result<HashMap<String, Vec<Row>>, Error> {
    let mut rows: HashMap<String, Vec<Row>> = HashMap::new();
    for batch in scan::<FailedRow>(settings, &["media_id", "created_at", "retry_count"]).await? {
        for row in 0..batch.num_rows() {
            rows.entry(text(&batch, "media_id", row).to_owned())
                .or_default()
                .push(Row {
                    created_at: instant(&batch, "created_at", row),
                    retry_count: number(&batch, "retry_count", row),
                    file: None,
                });
        }
    }
    Ok(rows)
}

//! What was read of today's data files. A file never changes, so each is read once.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use jiff::Timestamp;
use jiff::civil::Date;

use super::latency::Latency;
use super::table_today::{MAX_FILES, TableToday};
use crate::columns::{instant, size, text};
use xact_contracts::onelake_billing::BillingClass;
use xact_lake::arrow::array::RecordBatch;
use xact_lake::{AttachmentRow, DateFile, EventRow, Table, TableError, TableRow};

/// Most rows of a file that is read. A larger one was rewritten from many.
const MAX_ROWS: usize = 200_000;
/// Most rows that are kept of a table, about 20 bytes each. Older files are not read.
const MAX_ROWS_KEPT: usize = 1_000_000;

/// The files of a table today, and what was read of some of them.
struct Files<S> {
    all: Vec<DateFile>,
    read: BTreeMap<String, S>,
}

impl<S> Default for Files<S> {
    fn default() -> Self {
        Self {
            all: Vec::new(),
            read: BTreeMap::new(),
        }
    }
}

impl<S: Default + Send + Sync> Files<S> {
    /// Reads the newest files that were not read yet. `add` adds a row to what is kept of its file.
    async fn read<R: TableRow>(
        &mut self,
        table: &Table<R>,
        date: Date,
        columns: &[&str],
        add: impl Fn(&mut S, &RecordBatch, usize) + Send + Sync,
    ) -> Result<(), TableError> {
        let known = &self.read;
        let (mut files, mut rows) = (0, 0);
        let is_wanted = |file: &DateFile| {
            let of_file = file.rows.unwrap_or_default();
            rows += of_file;
            let is_wanted =
                !known.contains_key(&file.path) && files < MAX_FILES && of_file <= MAX_ROWS && rows <= MAX_ROWS_KEPT;
            files += usize::from(is_wanted);
            is_wanted
        };
        let mut new: BTreeMap<String, S> = BTreeMap::new();
        let visit = |file: &DateFile, batch: &RecordBatch| {
            let kept = new.entry(file.path.clone()).or_default();
            (0..batch.num_rows()).for_each(|row| add(kept, batch, row));
        };
        self.all = table.visit_files(columns, date, is_wanted, visit).await?;
        self.read.append(&mut new);
        let mut rows = 0;
        let kept = self.all.iter().take_while(|file| {
            rows += file.rows.unwrap_or_default();
            rows <= MAX_ROWS_KEPT
        });
        let kept: HashSet<&str> = kept.map(|file| file.path.as_str()).collect();
        self.read.retain(|path, _| kept.contains(path.as_str()));
        Ok(())
    }

    fn summary(&self, latency: Option<Latency>) -> TableToday {
        TableToday {
            rows: self.all.iter().filter_map(|file| file.rows).sum(),
            files: self.all.len(),
            files_read: self.read.len(),
            latency,
        }
    }
}

/// The files of `xact_events`.
#[derive(Default)]
pub(super) struct EventFiles(Files<Vec<EventTime>>);

struct EventTime {
    /// Of its trace id.
    hash: u64,
    at: Timestamp,
    milliseconds: u32,
}

impl EventFiles {
    pub(super) async fn read(&mut self, table: &Table<EventRow>, date: Date) -> Result<(), TableError> {
        let columns = ["trace_id", "event_timestamp", "ingested_at"];
        let add = |kept: &mut Vec<EventTime>, batch: &RecordBatch, row: usize| {
            let at = instant(batch, "event_timestamp", row);
            kept.push(EventTime {
                hash: hash(text(batch, "trace_id", row)),
                at,
                milliseconds: milliseconds(at, instant(batch, "ingested_at", row)),
            });
        };
        self.0.read(table, date, &columns, add).await
    }

    pub(super) fn summary(&self) -> TableToday {
        let times = self.0.read.values().flatten().map(|event| event.milliseconds);
        self.0.summary(Latency::of(times.collect()))
    }
}

/// The files of `xact_attachments`.
#[derive(Default)]
pub(super) struct AttachmentFiles(Files<AttachmentFile>);

#[derive(Default)]
struct AttachmentFile {
    rows: Vec<AttachmentTime>,
    bytes: u64,
    write_units: u64,
}

struct AttachmentTime {
    /// Of its event's trace id.
    hash: u64,
    created_at: Timestamp,
}

impl AttachmentFiles {
    pub(super) async fn read(&mut self, table: &Table<AttachmentRow>, date: Date) -> Result<(), TableError> {
        let columns = ["trace_id", "created_at", "bytes_downloaded"];
        let add = |kept: &mut AttachmentFile, batch: &RecordBatch, row: usize| {
            let bytes = u64::try_from(size(batch, "bytes_downloaded", row)).unwrap_or(0);
            kept.bytes = kept.bytes.saturating_add(bytes);
            kept.write_units += BillingClass::Write.units(bytes);
            kept.rows.push(AttachmentTime {
                hash: hash(text(batch, "trace_id", row)),
                created_at: instant(batch, "created_at", row),
            });
        };
        self.0.read(table, date, &columns, add).await
    }

    /// Attachments do not have the time of their event; the rows of the events do.
    pub(super) fn summary(&self, events: &EventFiles) -> TableToday {
        let events: HashMap<u64, Timestamp> = events
            .0
            .read
            .values()
            .flatten()
            .map(|event| (event.hash, event.at))
            .collect();
        let rows = self.0.read.values().flat_map(|file| &file.rows);
        let times = rows.filter_map(|row| Some(milliseconds(*events.get(&row.hash)?, row.created_at)));
        self.0.summary(Latency::of(times.collect()))
    }

    pub(super) fn bytes(&self) -> u64 {
        self.0.read.values().map(|file| file.bytes).sum()
    }

    /// Returns the units of writes that the files of the attachments took. One that was not read counts as up to 4 MiB.
    pub(super) fn write_units(&self) -> u64 {
        let read: usize = self.0.read.values().map(|file| file.rows.len()).sum();
        let units: u64 = self.0.read.values().map(|file| file.write_units).sum();
        let all = self.0.summary(None).rows;
        units + all.saturating_sub(read) as u64
    }
}

fn hash(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

fn milliseconds(from: Timestamp, to: Timestamp) -> u32 {
    u32::try_from(to.duration_since(from).as_millis().max(0)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millisecond: i64) -> Timestamp {
        Timestamp::from_millisecond(millisecond).unwrap()
    }

    fn file(name: &str, rows: usize) -> DateFile {
        DateFile {
            path: name.to_owned(),
            rows: Some(rows),
            bytes: 1,
            written_at: 0,
        }
    }

    #[test]
    fn attachments_take_the_time_of_their_event_and_those_that_were_not_read_count_as_small() {
        let event = |trace_id: &str, from: i64, milliseconds| EventTime {
            hash: hash(trace_id),
            at: at(from),
            milliseconds,
        };
        let mut events = EventFiles::default();
        events.0.all = vec![file("e", 2)];
        events
            .0
            .read
            .insert("e".to_owned(), vec![event("a", 1_000, 500), event("b", 2_000, 700)]);
        let attachment = |trace_id: &str, created| AttachmentTime {
            hash: hash(trace_id),
            created_at: at(created),
        };
        let mut attachments = AttachmentFiles::default();
        attachments.0.all = vec![file("new", 3), file("old", 10)];
        let new = AttachmentFile {
            rows: vec![
                attachment("a", 4_000),
                attachment("b", 2_500),
                attachment("unknown", 9_000_000),
            ],
            bytes: 9_000_000,
            write_units: 5,
        };
        attachments.0.read.insert("new".to_owned(), new);
        let latency = |table: &TableToday| {
            let latency = table.latency.unwrap();
            (latency.p50.as_millis(), latency.p95.as_millis())
        };
        assert_eq!(latency(&events.summary()), (500, 700));
        let summary = attachments.summary(&events);
        assert_eq!((summary.rows, summary.files, summary.files_read), (13, 2, 1));
        assert_eq!(latency(&summary), (500, 3_000));
        assert_eq!((attachments.bytes(), attachments.write_units()), (9_000_000, 15));
    }

    #[test]
    fn a_row_before_its_event_took_no_time() {
        assert_eq!(milliseconds(at(5), at(3)), 0);
        assert_eq!(milliseconds(at(0), at(i64::from(u32::MAX) + 1)), u32::MAX);
    }
}

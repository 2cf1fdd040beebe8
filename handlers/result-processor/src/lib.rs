//! The result processor: the results of a batch become at most one commit in each table.
//!
//! A completed attachment is a row of `xact_attachments`, a final failure one of `xact_attachments_failed`; a failure
//! with another attempt ahead makes no row. An attachment that was completed has no row of a failure: such a failure
//! comes from work that was done twice, or was mended by a replay from the DLQ.
//!
//! No commit spans two tables, and two owners may write at one moment (a zombie and its successor). So each first
//! appends and then looks at the other table: who appended the file removes the failures, who appended a failure looks
//! whether the file is there by now. Of two that meet, the later one to append sees the other's row, whichever it is.
//! A crash between the two steps comes before the offset's commit: the records come again, and the look with them,
//! whether or not their rows are added again.

mod rows;

use contracts::messages::{DownloadResult, Status};
use contracts::time;
use contracts::topology::Stage;
use jiff::Timestamp;
use jiff::civil::Date;
use lake::{AttachmentRow, FailedRow, Key, Source, Sourced};
use runtime::config::Settings;
use runtime::{
    AssignError, Assigned, Batch, BatchHandler, BatchService, Context, Delivered, Factory, Refused, SetupError, Starts,
    TablePositions, Unavailable,
};
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use table_sink::TableSink;

/// The handler.
pub struct ResultProcessor {
    attachments: TableSink<AttachmentRow>,
    failed: TableSink<FailedRow>,
}

/// Makes the stage.
#[must_use]
pub fn factory() -> Factory {
    Arc::new(|settings| {
        Ok(BatchService::new(
            Stage::ResultProcessor,
            ResultProcessor::new(settings)?,
            settings.result_batch,
        ))
    })
}

impl ResultProcessor {
    /// With the configured tables. No I/O happens yet.
    ///
    /// # Errors
    /// When a table's path is missing or no location.
    pub fn new(settings: &Settings) -> Result<Self, SetupError> {
        Ok(Self::with_tables(
            TableSink::open(settings)?,
            TableSink::open(settings)?,
        ))
    }

    /// With these tables.
    #[must_use]
    pub fn with_tables(attachments: TableSink<AttachmentRow>, failed: TableSink<FailedRow>) -> Self {
        Self { attachments, failed }
    }
}

impl BatchHandler for ResultProcessor {
    type Input = DownloadResult;

    async fn assigned(&self, partitions: &[Assigned]) -> Result<Starts, AssignError> {
        let mut starts = self.attachments.check_positions(partitions).await?;
        // The earlier of the two: the other table skips what it has.
        for (app_id, start) in self.failed.check_positions(partitions).await? {
            let earliest = starts.entry(app_id).or_insert(start);
            *earliest = start.min(*earliest);
        }
        Ok(starts)
    }

    fn table_positions(&self, app_id: &str) -> TablePositions {
        let noted = [self.attachments.noted(app_id), self.failed.noted(app_id)];
        noted.into_iter().flatten().collect()
    }

    async fn handle(&self, batch: &Batch<'_, DownloadResult>, context: &Context) -> Result<Vec<Refused>, Unavailable> {
        let of = |status| {
            batch
                .records
                .iter()
                .copied()
                .filter(move |record| record.input.status == status)
        };
        let completed: Vec<_> = of(Status::Completed)
            .map(|record| sourced(record, rows::attachment(&record.input, context.now)))
            .collect();
        let happened: Vec<Timestamp> = of(Status::Completed)
            .map(|record| record.input.original_timestamp)
            .collect();
        self.attachments.append(completed, &batch.positions, &happened).await?;
        // Spares most rows that would be removed again at once. It decides nothing: the look after the append does.
        let known = self.completed(of(Status::FailedPermanent)).await?;
        let (failed, happened): (Vec<_>, Vec<_>) = of(Status::FailedPermanent)
            .map(|record| {
                (
                    sourced(record, rows::failed(&record.input, context.now)),
                    record.input.original_timestamp,
                )
            })
            .filter(|(sourced, _)| !contains(&known, sourced.row.event_date, &sourced.row.media_id))
            .unzip();
        self.failed.append(failed, &batch.positions, &happened).await?;

        let mut completed = self.completed(of(Status::FailedPermanent)).await?;
        for record in of(Status::Completed) {
            let (date, id) = identity(&record.input);
            completed.entry(date).or_default().insert(id);
        }
        self.failed.remove(completed).await?;
        Ok(Vec::new())
    }
}

/// Ids of attachments, by the date of their rows.
type Media = BTreeMap<Date, HashSet<Arc<str>>>;

impl ResultProcessor {
    /// Those of the records whose file is recorded as there.
    async fn completed(&self, records: impl Iterator<Item = &Delivered<DownloadResult>>) -> Result<Media, Unavailable> {
        let mut asked: BTreeMap<Date, Vec<Key>> = BTreeMap::new();
        for record in records {
            let (date, id) = identity(&record.input);
            asked.entry(date).or_default().push(Key::new(&id));
        }
        let mut completed = Media::new();
        for (date, keys) in asked {
            let there = self.attachments.existing_keys(date, &keys).await?;
            completed.insert(date, there.into_iter().map(|key| key.id).collect());
        }
        Ok(completed)
    }
}

fn identity(result: &DownloadResult) -> (Date, Arc<str>) {
    (
        time::utc_date(result.original_timestamp),
        result.media_id.to_string().into(),
    )
}

fn contains(media: &Media, date: Date, id: &str) -> bool {
    media.get(&date).is_some_and(|ids| ids.contains(id))
}

fn sourced<R>(record: &Delivered<DownloadResult>, row: R) -> Sourced<R> {
    Sourced {
        row,
        source: record.app_id.clone().map(|app_id| Source {
            app_id,
            offset: record.source.offset,
        }),
    }
}

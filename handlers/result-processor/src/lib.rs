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

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::Date;

use xact_config::Settings;
use xact_contracts::ids::AppId;
use xact_contracts::messages::{DownloadResult, Status};
use xact_contracts::time;
use xact_contracts::topology::Stage;
use xact_lake::{AttachmentRow, FailedRow, Key, Source, Sourced};
use xact_runtime::{
    AssignError, Assigned, Batch, BatchHandler, BatchService, Context, Delivered, Factory, Refused, SetupError, Starts,
    TablePositions, Unavailable,
};
use xact_table_sink::{TableSink, Undated};

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
    const STAGE: Stage = Stage::ResultProcessor;

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

    fn table_positions(&self, app_id: &AppId) -> TablePositions {
        let noted = [self.attachments.noted(app_id), self.failed.noted(app_id)];
        noted.into_iter().flatten().collect()
    }

    async fn handle(&self, batch: &Batch<'_, DownloadResult>, context: &Context) -> Result<Vec<Refused>, Unavailable> {
        let dates = self.dates(batch).await?;
        let of = |status| {
            batch
                .records
                .iter()
                .copied()
                .filter(move |record| record.input.status == status)
        };
        let completed: Vec<_> = of(Status::Completed)
            .map(|record| {
                sourced(
                    record,
                    rows::attachment(&record.input, dates.of(&record.input), context.now),
                )
            })
            .collect();
        let happened: Vec<Timestamp> = of(Status::Completed)
            .map(|record| record.input.original_timestamp)
            .collect();
        self.attachments.append(completed, &batch.positions, &happened).await?;
        // Spares most rows that would be removed again at once. It decides nothing: the look after the append does.
        let known = self.completed(&dates, of(Status::FailedPermanent)).await?;
        let (failed, happened): (Vec<_>, Vec<_>) = of(Status::FailedPermanent)
            .map(|record| {
                (
                    sourced(
                        record,
                        rows::failed(&record.input, dates.of(&record.input), context.now),
                    ),
                    record.input.original_timestamp,
                )
            })
            .filter(|(sourced, _)| !contains(&known, sourced.row.event_date, &sourced.row.media_id))
            .unzip();
        self.failed.append(failed, &batch.positions, &happened).await?;

        let mut completed = self.completed(&dates, of(Status::FailedPermanent)).await?;
        for record in of(Status::Completed) {
            let (date, id) = dates.identity(&record.input);
            completed.entry(date).or_default().insert(id);
        }
        self.failed.remove(completed).await?;
        Ok(Vec::new())
    }
}

/// Ids of attachments, by the date of their rows.
type Media = BTreeMap<Date, HashSet<Arc<str>>>;

/// The dates of a batch's rows.
struct Dates(Undated);

impl Dates {
    fn of(&self, result: &DownloadResult) -> Date {
        let own = time::utc_date(result.original_timestamp);
        match result.timestamp_from_record {
            true => self.0.date_of(&result.media_id.to_string()).unwrap_or(own),
            false => own,
        }
    }

    fn identity(&self, result: &DownloadResult) -> (Date, Arc<str>) {
        (self.of(result), result.media_id.to_string().into())
    }
}

impl ResultProcessor {
    /// The dates of the rows: an attachment whose event has no timestamp has the date that it has in either table.
    async fn dates(&self, batch: &Batch<'_, DownloadResult>) -> Result<Dates, Unavailable> {
        let mut undated = Undated::default();
        for record in batch.records.iter().filter(|record| record.input.timestamp_from_record) {
            let date = time::utc_date(record.input.original_timestamp);
            undated.note(record.input.media_id.to_string().into(), date);
        }
        undated.look_in(&self.attachments).await?;
        undated.look_in(&self.failed).await?;
        Ok(Dates(undated))
    }

    /// Those of the records whose file is recorded as there.
    async fn completed(
        &self,
        dates: &Dates,
        records: impl Iterator<Item = &Delivered<DownloadResult>>,
    ) -> Result<Media, Unavailable> {
        let mut asked: BTreeMap<Date, Vec<Key>> = BTreeMap::new();
        for record in records {
            let (date, id) = dates.identity(&record.input);
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

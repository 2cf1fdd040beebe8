//! The result-processor stage: the results of a batch become at most one commit in each of two tables.
//!
//! A completed attachment is a row of `xact_attachments`, a final failure one of `xact_attachments_failed`. A failure that
//! will be retried makes no row. A completed attachment must have no row of a failure: such a failure comes from duplicate
//! work, or a replay from the DLQ succeeded later.
//!
//! No commit spans two tables, and two owners of a partition may write at the same time (the old one after it lost the
//! partition, and the new one). Therefore each appends first and then checks the other table: after appending a completed
//! attachment, failures of it are removed; after appending a failure, it is removed if the attachment is completed by now.
//! Of two concurrent writers, the one that appends later finds the other's row. A crash between the two steps comes before
//! the offset commit: the records are redelivered and checked again, whether or not their rows are appended again.

mod dates;
mod rows;

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use jiff::civil::Date;

use dates::Dates;
use xact_config::Settings;
use xact_contracts::ids::AppId;
use xact_contracts::messages::{DownloadResult, Status};
use xact_contracts::topology::Stage;
use xact_lake::{AttachmentRow, FailedRow, Key};
use xact_runtime::{
    AssignError, Assigned, Batch, BatchHandler, Context, Delivered, Factory, Refused, Service, SetupError, Starts,
    TablePositions, Unavailable,
};
use xact_table_sink::{TableSink, sourced};

/// The handler.
pub struct ResultProcessor {
    attachments: TableSink<AttachmentRow>,
    failed: TableSink<FailedRow>,
}

/// Returns the factory of the stage.
#[must_use]
pub fn factory() -> Factory {
    Arc::new(|settings| Ok(Service::batch(ResultProcessor::new(settings)?, settings.result_batch)))
}

impl ResultProcessor {
    /// Writes to the configured tables. No I/O happens yet.
    ///
    /// # Errors
    /// When the setting of a table is missing or not a valid location.
    pub fn new(settings: &Settings) -> Result<Self, SetupError> {
        Ok(Self::with_tables(
            TableSink::open(settings)?,
            TableSink::open(settings)?,
        ))
    }

    /// Writes to these tables.
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
        // The earlier start of the two tables: the other table skips records that it already has.
        for (app_id, start) in self.failed.check_positions(partitions).await? {
            let earliest = starts.entry(app_id).or_insert(start);
            *earliest = start.min(*earliest);
        }
        Ok(starts)
    }

    fn table_positions(&self, app_id: &AppId) -> TablePositions {
        let positions = [
            self.attachments.position_note(app_id),
            self.failed.position_note(app_id),
        ];
        positions.into_iter().flatten().collect()
    }

    async fn handle(&self, batch: &Batch<'_, DownloadResult>, context: &Context) -> Result<Vec<Refused>, Unavailable> {
        let dates = Dates::of_batch(batch, &self.attachments, &self.failed).await?;
        let of_status = |status| {
            let records = batch.records.iter().copied();
            records
                .filter(move |record| record.input.status == status)
                .collect::<Vec<_>>()
        };
        let (completed, failed) = (of_status(Status::Completed), of_status(Status::FailedPermanent));

        let rows = completed.iter().map(|record| {
            let row = rows::attachment(&record.input, dates.of(&record.input), context.now);
            sourced(record, row)
        });
        let event_times: Vec<_> = completed.iter().map(|record| record.input.original_timestamp).collect();
        self.attachments
            .append(rows.collect(), &batch.positions, &event_times)
            .await?;

        // An optimization: most rows that would be removed again are not written. The check after the append decides.
        let known = self.completed(&dates, &failed).await?;
        let (rows, event_times): (Vec<_>, Vec<_>) = failed
            .iter()
            .filter(|record| {
                let (date, id) = dates.identity(&record.input);
                !known.get(&date).is_some_and(|ids| ids.contains(&id))
            })
            .map(|record| {
                let row = rows::failed(&record.input, dates.of(&record.input), context.now);
                (sourced(record, row), record.input.original_timestamp)
            })
            .unzip();
        self.failed.append(rows, &batch.positions, &event_times).await?;

        let mut to_remove = self.completed(&dates, &failed).await?;
        for record in completed {
            let (date, id) = dates.identity(&record.input);
            to_remove.entry(date).or_default().insert(id);
        }
        self.failed.remove(to_remove).await?;
        Ok(Vec::new())
    }
}

/// Ids of attachments, by the date of their rows.
type IdsByDate = BTreeMap<Date, HashSet<Arc<str>>>;

impl ResultProcessor {
    /// Returns those of the attachments that have a row in `xact_attachments`.
    async fn completed(&self, dates: &Dates, records: &[&Delivered<DownloadResult>]) -> Result<IdsByDate, Unavailable> {
        let mut keys: BTreeMap<Date, Vec<Key>> = BTreeMap::new();
        for record in records {
            let (date, id) = dates.identity(&record.input);
            keys.entry(date).or_default().push(Key::new(&id));
        }
        let mut completed = IdsByDate::new();
        for (date, keys) in keys {
            let existing = self.attachments.existing_keys(date, &keys).await?;
            completed.insert(date, existing.into_iter().map(|key| key.id).collect());
        }
        Ok(completed)
    }
}

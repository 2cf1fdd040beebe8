//! The result processor: batches of results become one commit per table.
//!
//! A completed attachment is a row of `xact_attachments`, a final failure one of `xact_attachments_failed`; a failure
//! with another attempt ahead makes no row. An attachment that was completed has no failure recorded after it: such a
//! failure comes from work that was done twice.

mod rows;

use contracts::messages::{DownloadResult, Status};
use contracts::topology::Stage;
use jiff::Timestamp;
use jiff::civil::Date;
use lake::{AttachmentRow, FailedRow, Key, Source, Sourced, TableRow};
use runtime::config::Settings;
use runtime::{
    AssignError, Assigned, Batch, BatchHandler, BatchService, Context, Delivered, Factory, Refused, SetupError,
    Unavailable,
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
        let enabled = settings.delta_writes;
        Ok(Self {
            attachments: TableSink::open("DELTA_INVENTORY_TABLE_PATH", &settings.attachments_table, enabled)?,
            failed: TableSink::open("DELTA_FAILED_TABLE_PATH", &settings.failed_table, enabled)?,
        })
    }
}

impl BatchHandler for ResultProcessor {
    type Input = DownloadResult;

    async fn assigned(&self, partitions: &[Assigned]) -> Result<(), AssignError> {
        self.attachments.check_positions(partitions).await?;
        self.failed.check_positions(partitions).await
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
        let failed: Vec<_> = of(Status::FailedPermanent)
            .map(|record| sourced(record, rows::failed(&record.input, context.now)))
            .collect();
        // First the files: the look-up below must see those of this very batch.
        let happened: Vec<Timestamp> = of(Status::Completed)
            .map(|record| record.input.original_timestamp)
            .collect();
        self.attachments.append(completed, &batch.positions, &happened).await?;
        let failed = self.without_completed(failed).await?;
        let happened: Vec<Timestamp> = of(Status::FailedPermanent)
            .map(|record| record.input.original_timestamp)
            .collect();
        self.failed.append(failed, &batch.positions, &happened).await?;
        Ok(Vec::new())
    }
}

impl ResultProcessor {
    async fn without_completed(&self, failed: Vec<Sourced<FailedRow>>) -> Result<Vec<Sourced<FailedRow>>, Unavailable> {
        let mut by_date: BTreeMap<Date, Vec<Key>> = BTreeMap::new();
        for row in &failed {
            by_date
                .entry(row.row.event_date())
                .or_default()
                .push(Key::new(&row.row.media_id));
        }
        let mut completed: HashSet<Key> = HashSet::new();
        for (date, keys) in by_date {
            completed.extend(self.attachments.existing_keys(date, &keys).await?);
        }
        Ok(failed
            .into_iter()
            .filter(|row| !completed.contains(&Key::new(&row.row.media_id)))
            .collect())
    }
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

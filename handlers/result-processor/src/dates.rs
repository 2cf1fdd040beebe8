//! The dates of a batch's rows.

use std::sync::Arc;

use jiff::civil::Date;

use xact_contracts::messages::DownloadResult;
use xact_contracts::time;
use xact_lake::{AttachmentRow, FailedRow};
use xact_runtime::{Batch, Unavailable};
use xact_table_sink::{TableSink, UndatedRows};

/// The dates of a batch's rows. An attachment whose event has no timestamp has the date of its row in either table.
pub(crate) struct Dates(UndatedRows);

impl Dates {
    pub(crate) async fn of_batch(
        batch: &Batch<'_, DownloadResult>,
        attachments: &TableSink<AttachmentRow>,
        failed: &TableSink<FailedRow>,
    ) -> Result<Self, Unavailable> {
        let mut undated = UndatedRows::default();
        for record in batch.records.iter().filter(|record| record.input.timestamp_from_record) {
            let date = time::utc_date(record.input.original_timestamp);
            undated.insert(record.input.media_id.to_string().into(), date);
        }
        undated.use_dates_of(attachments).await?;
        undated.use_dates_of(failed).await?;
        Ok(Self(undated))
    }

    pub(crate) fn of(&self, result: &DownloadResult) -> Date {
        let own = time::utc_date(result.original_timestamp);
        let undated = || self.0.date_of(&result.media_id.to_string());
        result.timestamp_from_record.then(undated).flatten().unwrap_or(own)
    }

    /// Returns what identifies the row of a result in either table.
    pub(crate) fn identity(&self, result: &DownloadResult) -> (Date, Arc<str>) {
        (self.of(result), result.media_id.to_string().into())
    }
}

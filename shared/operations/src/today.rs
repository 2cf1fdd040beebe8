//! What the tables say of today: rows, bytes, the time from event to row, and what 1,000 attachments cost.
//!
//! Today is the UTC date of the events, which the tables are partitioned by. The log tells how many rows and files there are;
//! times and sizes are read from the files themselves, once each, the newest first.

mod files;
mod latency;
mod table_today;

pub use latency::Latency;
pub use table_today::{MAX_FILES, TableToday};

use jiff::Timestamp;
use jiff::civil::Date;

use self::files::{AttachmentFiles, EventFiles};
use crate::error::{OperationError, refuse};
use crate::prices::price_of_thousand;
use xact_config::Settings;
use xact_contracts::onelake_billing::Charge;
use xact_contracts::time;
use xact_lake::{AttachmentRow, EventRow, FailedRow, Table};
use xact_table_sink::table;

/// Reads the tables again and again, and keeps what it has read of today's files.
pub struct Today {
    events: Table<EventRow>,
    attachments: Table<AttachmentRow>,
    failed: Table<FailedRow>,
    date: Date,
    event_files: EventFiles,
    attachment_files: AttachmentFiles,
}

/// The answer of [`Today::read`].
#[derive(Debug, Clone)]
pub struct TodayAnswer {
    /// The date of the events.
    pub date: Date,
    /// Table `xact_events`.
    pub events: TableToday,
    /// Table `xact_attachments`: a row for each file in OneLake.
    pub attachments: TableToday,
    /// Rows of `xact_attachments_failed`.
    pub failed: usize,
    /// Bytes of the attachments whose rows were read.
    pub bytes: u64,
    /// CU seconds that 1,000 attachments cost by the published prices, estimated from the attachments and commits of today; `None`
    /// for no attachments.
    pub cu_seconds_of_thousand: Option<f64>,
    /// Commits of today: data files of the three tables.
    pub commits: usize,
    /// What the reading cost; `None` if no table is in OneLake.
    pub cost: Option<Charge>,
}

impl Today {
    /// Creates a reader; nothing is read yet.
    ///
    /// # Errors
    /// When the settings write no tables, or name no place for them.
    pub fn new(settings: &Settings) -> Result<Self, OperationError> {
        if !settings.delta_writes {
            return refuse("ENABLE_DELTA_WRITES=false: these settings write no tables");
        }
        Ok(Self {
            events: table(settings)?,
            attachments: table(settings)?,
            failed: table(settings)?,
            date: Date::default(),
            event_files: EventFiles::default(),
            attachment_files: AttachmentFiles::default(),
        })
    }

    /// Reads what is new.
    ///
    /// # Errors
    /// When a table cannot be read.
    pub async fn read(&mut self, now: Timestamp) -> Result<TodayAnswer, OperationError> {
        let date = time::utc_date(now);
        if date != self.date {
            self.date = date;
            self.event_files = EventFiles::default();
            self.attachment_files = AttachmentFiles::default();
        }
        let before = self.spent();
        self.event_files.read(&self.events, date).await?;
        self.attachment_files.read(&self.attachments, date).await?;
        let failed = self
            .failed
            .visit_files(&["media_id"], date, |_| false, |_, _| ())
            .await?;
        let (events, attachments) = (
            self.event_files.summary(),
            self.attachment_files.summary(&self.event_files),
        );
        let commits = events.files + attachments.files + failed.len();
        let units = self.attachment_files.write_units();
        Ok(TodayAnswer {
            date,
            events,
            attachments,
            failed: failed.iter().filter_map(|file| file.rows).sum(),
            bytes: self.attachment_files.bytes(),
            cu_seconds_of_thousand: price_of_thousand(attachments.rows, units, commits),
            commits,
            cost: self.spent().map(|after| difference(after, before.unwrap_or_default())),
        })
    }

    /// Returns what all requests so far have cost.
    fn spent(&self) -> Option<Charge> {
        let bills = [self.events.bill(), self.attachments.bill(), self.failed.bill()];
        let charges = bills.into_iter().flatten().map(|bill| bill.total());
        charges.reduce(|mut sum, charge| {
            sum += charge;
            sum
        })
    }
}

const fn difference(after: Charge, before: Charge) -> Charge {
    Charge {
        requests: after.requests - before.requests,
        units: after.units - before.units,
        micro_cu_seconds: after.micro_cu_seconds - before.micro_cu_seconds,
    }
}

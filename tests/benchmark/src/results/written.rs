//! What a program has written into a table, and what it needed for that.

use std::path::Path;
use std::time::Duration;

use crate::bench::Observed;
use crate::exact::Counts;
use crate::messages::trace_id;
use crate::results::raw::Measured;
use crate::results::rows::media_id;
use crate::table_log::{TableLog, media_ids};
use xact_testkit::Result;

/// Time between two readings of a table's log.
pub(crate) const LOG_INTERVAL: Duration = Duration::from_millis(20);

/// What a program that writes the topic into a table needed, and what it has written.
pub(crate) struct Written {
    pub(crate) measured: Measured,
    pub(crate) commits: u64,
    pub(crate) most_resident_mib: Option<f64>,
    /// Rows that are in the table.
    pub(crate) rows: u64,
    pub(crate) counts: Counts,
}

impl Written {
    /// Reads the table back. `kib`: peak memory.
    pub(crate) fn of(
        observed: &Observed<f64>,
        log: &TableLog,
        kib: Option<u64>,
        table: &Path,
        results: u64,
    ) -> Result<Self> {
        let ids = media_ids(table)?;
        #[expect(clippy::cast_precision_loss, reason = "a few hundred thousand")]
        let most_resident_mib = kib.map(|kib| kib as f64 / 1024.0);
        Ok(Self {
            measured: Measured {
                rows_per_second: observed.rate(),
                cpu_seconds: observed.per(100_000),
            },
            commits: log.commits,
            most_resident_mib,
            rows: ids.len() as u64,
            counts: Counts::of((0..results).map(|number| media_id(&trace_id(number))), ids),
        })
    }
}

//! What a table has of today, and how much of it was read.

use super::latency::Latency;

/// Most files of a table that one reading reads. A table that is committed to every five seconds has twelve new ones a minute.
pub const MAX_FILES: usize = 30;

/// The rows of one table.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TableToday {
    /// All rows.
    pub rows: usize,
    /// Its data files.
    pub files: usize,
    /// Those that were read, the newest ones.
    pub files_read: usize,
    /// Time from the event to the row, in the files that were read.
    pub latency: Option<Latency>,
}

//! The limits of a worker.

/// Limits on what one worker holds and works on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Messages that are handled at the same time.
    pub concurrency: usize,
    /// Records in memory: queued, being handled, or held until they are due.
    pub records: usize,
    /// Bytes of these records.
    pub bytes: usize,
    /// Records of one partition from the first one that is not done up to the newest one. After a crash these are redelivered, and
    /// also what was done since the last commit.
    pub window: usize,
}

impl Limits {
    /// Returns limits that suit small messages.
    #[must_use]
    pub const fn of_concurrency(concurrency: usize) -> Self {
        Self {
            concurrency,
            records: 10_000,
            bytes: 32 * 1024 * 1024,
            window: 20_000,
        }
    }

    /// Returns the same limits with another number of records in memory.
    #[must_use]
    pub const fn with_records(mut self, records: usize) -> Self {
        self.records = records;
        self
    }
}

//! Which records are skipped, and why.

use clap::Args;

/// Which records are skipped, and why.
#[derive(Debug, Clone, Args)]
pub struct SkipRequest {
    /// The group
    #[arg(long, value_name = "G")]
    pub group: String,
    /// The topic
    #[arg(long, value_name = "T")]
    pub topic: String,
    /// The partition
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(0..))]
    pub partition: i32,
    /// The committed offset of the group (`offsets show`). A repeated command skips nothing else
    #[arg(long, value_name = "O", value_parser = clap::value_parser!(i64).range(0..))]
    pub offset: i64,
    /// Number of offsets to skip; without --count and --to: that record, or up to the next readable one
    #[arg(long, value_name = "N", conflicts_with = "to", value_parser = clap::value_parser!(i64).range(1..))]
    pub count: Option<i64>,
    /// Skip up to this offset, which is read next
    #[arg(long, value_name = "OFFSET")]
    pub to: Option<i64>,
    /// Why, for the dead letters
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
}

impl SkipRequest {
    /// Returns the offset that is read next; `None`: the one after the record at the position or, if that record cannot be
    /// read, the next readable one.
    pub(super) fn end(&self) -> Option<i64> {
        self.count.map(|count| self.offset.saturating_add(count)).or(self.to)
    }
}

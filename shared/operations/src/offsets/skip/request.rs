//! Which records are skipped, and why.

/// Which records are skipped, and why.
#[derive(Debug, Clone)]
pub struct SkipRequest {
    /// The group.
    pub group: String,
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// The position of the group, where the skip begins.
    pub offset: i64,
    /// Where the skip ends.
    pub until: Until,
    /// Why, for the dead letters.
    pub reason: String,
}

/// Where a skip ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// After the record at the position; if it cannot be read, at the next one that can.
    Next,
    /// At this offset, which is read next.
    Offset(i64),
}

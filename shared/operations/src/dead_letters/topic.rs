//! The dead-letter topic, read in two passes: an entry's mark comes after the entry.
//!
//! Only the marks are held in memory (a few dozen bytes each); entries are passed on one by one.

use std::collections::HashMap;
use std::ops::ControlFlow;

use super::entry::{Entry, EntryId, Mark};
use xact_config::Settings;
use xact_kafka::admin::{AdminError, TopicReader};

/// The topic as it was when it was opened.
pub struct DeadLetterTopic {
    reader: TopicReader,
    marks: HashMap<EntryId, Mark>,
}

impl DeadLetterTopic {
    /// Reads the marks of the whole topic. Blocks.
    ///
    /// # Errors
    /// When the topic cannot be read to its end.
    pub fn open(settings: &Settings) -> Result<Self, AdminError> {
        Self::open_at(settings, &[])
    }

    /// Opens only the part of the topic from the first of these entries in each partition; other partitions are left out, and
    /// [`DeadLetterTopic::visit`] covers the same part. Without entries, the whole topic. Blocks.
    ///
    /// # Errors
    /// When the topic cannot be read to its end.
    pub(super) fn open_at(settings: &Settings, entries: &[EntryId]) -> Result<Self, AdminError> {
        let mut reader = TopicReader::open(&settings.internal_cluster, &settings.topics.dlq)?;
        if !entries.is_empty() {
            for partition in reader.spans().keys().copied().collect::<Vec<_>>() {
                let in_partition = entries.iter().filter(|id| id.partition == partition);
                let first = in_partition.map(|id| id.offset).min();
                reader.begin_at(partition, first.unwrap_or(i64::MAX));
            }
        }
        let mut marks = HashMap::new();
        reader.read(|record| {
            marks.extend(Mark::of_record(&record));
            ControlFlow::Continue(())
        })?;
        Ok(Self { reader, marks })
    }

    /// Returns the end of each partition: one past its last offset.
    pub(super) fn ends(&self) -> Vec<EntryId> {
        let spans = self.reader.spans().iter();
        spans
            .map(|(&partition, span)| EntryId {
                partition,
                offset: span.high,
            })
            .collect()
    }

    /// Calls `visit` for every entry of the opened part, in the order of each partition, until it breaks. Blocks.
    ///
    /// # Errors
    /// When the topic cannot be read to its end.
    pub fn visit(&self, mut visit: impl FnMut(Entry) -> ControlFlow<()>) -> Result<(), AdminError> {
        self.reader.read(|record| {
            let mark = self.marks.get(&EntryId::of(&record)).cloned();
            Entry::of_record(record, mark).map_or(ControlFlow::Continue(()), &mut visit)
        })
    }
}

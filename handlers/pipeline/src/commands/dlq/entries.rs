//! The entries of the dead-letter topic with their marks, read in two passes: an entry's mark comes behind it.
//!
//! Only the marks are held in memory (a few dozen bytes each); entries are handed on one by one.

use std::collections::HashMap;
use std::ops::ControlFlow;

use super::entry::{Entry, Mark, Place};
use xact_config::Settings;
use xact_kafka::admin::AdminError;
use xact_kafka::admin::TopicReader;

/// The topic as it was when it was opened.
pub(crate) struct Entries {
    reader: TopicReader,
    marks: HashMap<Place, Mark>,
}

impl Entries {
    /// Reads the marks. `places`: only those partitions, from the first of these entries; empty: all. Blocks.
    pub(crate) fn open(settings: &Settings, places: &[Place]) -> Result<Self, AdminError> {
        let mut reader = TopicReader::open(&settings.internal_cluster, &settings.topics.dlq)?;
        if !places.is_empty() {
            for partition in reader.spans().keys().copied().collect::<Vec<_>>() {
                let wanted = places.iter().filter(|place| place.partition == partition);
                let first = wanted.map(|place| place.offset).min();
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

    /// Hands on every entry, a partition's in their order. Blocks.
    pub(crate) fn visit(&self, mut visit: impl FnMut(Entry) -> ControlFlow<()>) -> Result<(), AdminError> {
        self.reader.read(|record| {
            let place = Place {
                partition: record.partition,
                offset: record.offset,
            };
            let mark = self.marks.get(&place).copied();
            Entry::of_record(record, mark).map_or(ControlFlow::Continue(()), &mut visit)
        })
    }
}

//! What stands beside a committed offset in the broker: who moved it, if it was not the stage's own work, or how far the
//! stage's tables were when it was committed. The broker keeps the text until the next commit, and a stage with tables
//! reads it when it compares the offset with theirs.

use std::collections::BTreeMap;

use rdkafka::error::KafkaResult;
use rdkafka::{Offset, TopicPartitionList};

/// The next offset of a partition in each of a stage's tables; `None` for a table that has none yet.
///
/// A batch without rows for a table does not move its position, so it may lag behind the committed offset for as long as
/// no row comes. What it was at the commit tells such a table from one that was restored to an earlier version.
pub type TablePositions = BTreeMap<String, Option<i64>>;

/// Why an offset was committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CommitNote {
    /// An operator moved it on purpose.
    Reset,
    /// The topic's offsets went back while it was read: it was recreated.
    WentBack,
    /// The stage's work up to it is done, and these were the positions of its tables.
    Tables(TablePositions),
}

const RESET: &str = "xact-pipeline: reset by an operator";
const WENT_BACK: &str = "xact-pipeline: the topic went back";
const TABLES: &str = "xact-pipeline: tables";
const NO_POSITION: &str = "none";

impl CommitNote {
    fn text(&self) -> String {
        match self {
            Self::Reset => RESET.to_owned(),
            Self::WentBack => WENT_BACK.to_owned(),
            Self::Tables(positions) => positions.iter().fold(TABLES.to_owned(), |text, (table, position)| {
                let position = position.map_or_else(|| NO_POSITION.to_owned(), |position| position.to_string());
                format!("{text} {table}={position}")
            }),
        }
    }

    /// Reads an offset's metadata; `None` for any other text.
    pub fn read(metadata: &str) -> Option<Self> {
        match metadata {
            RESET => return Some(Self::Reset),
            WENT_BACK => return Some(Self::WentBack),
            _ => {}
        }
        let position = |entry: &str| {
            let (table, position) = entry.split_once('=')?;
            let position = match position {
                NO_POSITION => None,
                position => Some(position.parse().ok()?),
            };
            Some((table.to_owned(), position))
        };
        let entries = metadata.strip_prefix(TABLES)?.split_whitespace();
        entries.map(position).collect::<Option<_>>().map(Self::Tables)
    }

    /// Adds an offset with this note to what is going to be committed.
    pub fn add(&self, list: &mut TopicPartitionList, topic: &str, partition: i32, offset: i64) -> KafkaResult<()> {
        let mut element = list.add_partition(topic, partition);
        element.set_metadata(self.text());
        element.set_offset(Offset::Offset(offset))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_read_as_it_was_written() {
        let tables = [
            ("xact_attachments".to_owned(), Some(120)),
            ("xact_attachments_failed".to_owned(), None),
        ];
        for note in [
            CommitNote::Reset,
            CommitNote::WentBack,
            CommitNote::Tables(TablePositions::from(tables)),
            CommitNote::Tables(TablePositions::new()),
        ] {
            assert_eq!(CommitNote::read(&note.text()), Some(note));
        }
    }

    #[test]
    fn other_texts_are_no_note() {
        for text in [
            "",
            "xact-pipeline: tables x",
            "xact-pipeline: tables x=1.5",
            "somebody's own note",
        ] {
            assert_eq!(CommitNote::read(text), None, "{text}");
        }
    }
}

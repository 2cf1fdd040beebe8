//! The metadata of a committed offset: what moved it, if not the stage's own work, or the positions of the stage's tables
//! at the time of the commit. The broker keeps the text until the next commit; a stage with tables reads it when it
//! compares the committed offset with their positions.

use std::collections::BTreeMap;

use rdkafka::error::KafkaResult;
use rdkafka::{Offset, TopicPartitionList};

/// The next offset of a partition in each of a stage's tables; `None` for a table without a position.
///
/// A batch without rows for a table does not move that table's position, so it may stay behind the committed offset. The
/// position at the time of the commit distinguishes such a table from one that was restored to an earlier version.
pub type TablePositions = BTreeMap<String, Option<i64>>;

/// Why an offset was committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CommitMetadata {
    /// An operator moved the group to this offset.
    OperatorReset,
    /// The topic was recreated while it was read, so its offsets start again at a lower number.
    TopicRecreated,
    /// The stage's work up to this offset is done, and its tables had these positions.
    Tables(TablePositions),
}

const RESET: &str = "xact-pipeline: reset by an operator";
const RECREATED: &str = "xact-pipeline: the topic went back";
const TABLES: &str = "xact-pipeline: tables";
const NO_POSITION: &str = "none";

impl CommitMetadata {
    fn text(&self) -> String {
        match self {
            Self::OperatorReset => RESET.to_owned(),
            Self::TopicRecreated => RECREATED.to_owned(),
            Self::Tables(positions) => positions.iter().fold(TABLES.to_owned(), |text, (table, position)| {
                let position = position.map_or_else(|| NO_POSITION.to_owned(), |position| position.to_string());
                format!("{text} {table}={position}")
            }),
        }
    }

    /// Parses the metadata of a committed offset; `None` for any other text.
    pub fn parse(metadata: &str) -> Option<Self> {
        match metadata {
            RESET => return Some(Self::OperatorReset),
            RECREATED => return Some(Self::TopicRecreated),
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

    /// Adds an offset with this metadata to the list of offsets to commit.
    pub fn add_to(&self, list: &mut TopicPartitionList, topic: &str, partition: i32, offset: i64) -> KafkaResult<()> {
        let mut element = list.add_partition(topic, partition);
        element.set_metadata(self.text());
        element.set_offset(Offset::Offset(offset))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_round_trips() {
        let tables = [
            ("xact_attachments".to_owned(), Some(120)),
            ("xact_attachments_failed".to_owned(), None),
        ];
        for metadata in [
            CommitMetadata::OperatorReset,
            CommitMetadata::TopicRecreated,
            CommitMetadata::Tables(TablePositions::from(tables)),
            CommitMetadata::Tables(TablePositions::new()),
        ] {
            assert_eq!(CommitMetadata::parse(&metadata.text()), Some(metadata));
        }
    }

    #[test]
    fn other_texts_are_ignored() {
        for text in [
            "",
            "xact-pipeline: tables x",
            "xact-pipeline: tables x=1.5",
            "another tool's text",
        ] {
            assert_eq!(CommitMetadata::parse(text), None, "{text}");
        }
    }
}

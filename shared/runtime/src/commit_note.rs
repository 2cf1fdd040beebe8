//! A word beside a committed offset: who moved it, if it was not the stage's own work. The broker keeps it with the
//! offset until the next commit, and a stage with tables reads it when it compares the offset with theirs.

use rdkafka::error::KafkaResult;
use rdkafka::{Offset, TopicPartitionList};

/// Why an offset was committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommitNote {
    /// An operator moved it, and means it.
    Reset,
    /// The topic's offsets went back while it was read: it was recreated.
    WentBack,
}

impl CommitNote {
    const ALL: [Self; 2] = [Self::Reset, Self::WentBack];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Reset => "xact-pipeline: reset by an operator",
            Self::WentBack => "xact-pipeline: the topic went back",
        }
    }

    /// The note in an offset's metadata; `None` for any other text.
    pub(crate) fn read(metadata: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|note| note.as_str() == metadata)
    }

    /// Adds an offset with this note to what is going to be committed.
    pub(crate) fn add(
        self,
        list: &mut TopicPartitionList,
        topic: &str,
        partition: i32,
        offset: i64,
    ) -> KafkaResult<()> {
        let mut element = list.add_partition(topic, partition);
        element.set_metadata(self.as_str());
        element.set_offset(Offset::Offset(offset))
    }
}

//! The identity of an entry: its partition and offset in the dead-letter topic.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

/// Partition and offset of an entry, written `PARTITION:OFFSET`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct EntryId {
    /// The partition of the dead-letter topic.
    pub partition: i32,
    /// The offset in it.
    pub offset: i64,
}

impl fmt::Display for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.partition, self.offset)
    }
}

/// The text is not `PARTITION:OFFSET`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an entry: give PARTITION:OFFSET as `dlq list` prints it, such as 0:17")]
pub struct EntryIdError(String);

impl FromStr for EntryId {
    type Err = EntryIdError;

    fn from_str(text: &str) -> Result<Self, EntryIdError> {
        let id = text.split_once(':').and_then(|(partition, offset)| {
            Some(Self {
                partition: partition.parse().ok().filter(|partition| *partition >= 0)?,
                offset: offset.parse().ok().filter(|offset| *offset >= 0)?,
            })
        });
        id.ok_or_else(|| EntryIdError(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_parsed_as_it_is_displayed() {
        let id: EntryId = "2:17".parse().unwrap();
        assert_eq!((id.partition, id.offset), (2, 17));
        assert_eq!(id.to_string(), "2:17");
        for text in ["", "2", "2:", ":1", "-1:2", "1:-2", "a:b", "1:2:3", "99999999999:1"] {
            assert!(text.parse::<EntryId>().is_err(), "{text}");
        }
    }
}

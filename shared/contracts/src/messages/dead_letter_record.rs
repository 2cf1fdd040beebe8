//! A record of the dead-letter topic, as the dlq stage and the operator's commands read it.

use uuid::Uuid;

use super::codec::DecodeError;
use super::{DeadLetter, Message};
use crate::topology::TopicRole;

/// The value of a record on the dead-letter topic.
///
/// Every value decodes: an unreadable record has no further topic to go to.
#[derive(Debug, Clone, PartialEq)]
pub enum DeadLetterRecord {
    /// A dead letter.
    Letter(Box<DeadLetter>),
    /// A foreign record: a value that is not a dead letter.
    Foreign {
        /// The whole value.
        bytes: Vec<u8>,
        /// Why it is not a dead letter; redacted.
        error: DecodeError,
    },
    /// A record without a value or with an empty one. It may settle an entry.
    Tombstone,
}

impl DeadLetterRecord {
    /// Reads a record's value. An empty value is a tombstone too: Event Hubs may return a null value as an empty one.
    #[must_use]
    pub fn of_value(value: Option<Vec<u8>>) -> Self {
        let Some(bytes) = value.filter(|bytes| !bytes.is_empty()) else {
            return Self::Tombstone;
        };
        match DeadLetter::decode(&bytes) {
            Ok(letter) => Self::Letter(Box::new(letter)),
            Err(error) => Self::Foreign { bytes, error },
        }
    }

    /// Returns the dead letter, if the record holds one.
    #[must_use]
    pub fn letter(&self) -> Option<&DeadLetter> {
        match self {
            Self::Letter(letter) => Some(letter),
            Self::Foreign { .. } | Self::Tombstone => None,
        }
    }

    /// Returns the bytes of the original message where it could not be read, or those of a foreign record.
    ///
    /// # Errors
    /// When the base64 in a dead letter is damaged.
    pub fn original_bytes(&self) -> Result<Option<Vec<u8>>, base64::DecodeError> {
        match self {
            Self::Letter(letter) => letter.original_bytes(),
            Self::Foreign { bytes, .. } => Ok(Some(bytes.clone())),
            Self::Tombstone => Ok(None),
        }
    }
}

impl Message for DeadLetterRecord {
    const NAME: &'static str = DeadLetter::NAME;
    const ROLE: TopicRole = TopicRole::Dlq;

    /// Never fails. The runtime passes a tombstone's missing value as no bytes.
    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        Ok(Self::of_value(Some(bytes.to_vec())))
    }

    fn trace_id(&self) -> &str {
        self.letter().map_or("", DeadLetter::trace_id)
    }

    fn media_id(&self) -> Option<Uuid> {
        self.letter()?.media_id
    }
}

#[cfg(test)]
mod tests {
    use super::super::dead_letter::tests::letter_of;
    use super::*;
    use crate::messages::encode;

    #[test]
    fn a_record_is_a_letter_or_foreign_or_a_tombstone() {
        let letter = letter_of(b"x", Some("t"));
        let record = DeadLetterRecord::decode(&encode(&letter)).unwrap();
        assert_eq!((record.letter(), record.trace_id()), (Some(&letter), "t"));
        assert_eq!(record.original_bytes().unwrap().unwrap(), b"x");

        let foreign = DeadLetterRecord::decode(b"hello").unwrap();
        assert!(matches!(foreign, DeadLetterRecord::Foreign { .. }));
        assert_eq!((foreign.letter(), foreign.trace_id()), (None, ""));
        assert_eq!(foreign.original_bytes().unwrap().unwrap(), b"hello");

        assert_eq!(DeadLetterRecord::decode(b"").unwrap(), DeadLetterRecord::Tombstone);
        for empty in [None, Some(Vec::new())] {
            assert_eq!(DeadLetterRecord::of_value(empty), DeadLetterRecord::Tombstone);
        }
    }
}

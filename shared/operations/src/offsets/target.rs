//! Where a reset leads: an end of the topic, a time, or an offset.

use std::str::FromStr;

use jiff::Timestamp;

use super::OffsetsError;
use super::positions::Position;
use xact_contracts::time;
use xact_kafka::admin::GroupOffsets;

/// The target of a reset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// The first record of each partition.
    Earliest,
    /// The end of each partition.
    Latest,
    /// The first record that was written at this time or later.
    Time(Timestamp),
    /// This offset.
    Offset(i64),
}

/// The text is not a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// The number is too large.
    #[error("the offset is too large")]
    TooLarge,
    /// The number is negative or not whole.
    #[error("an offset is a whole number, 0 or greater")]
    NotWhole,
    /// The text is something else.
    #[error("give earliest, latest, a time such as 2025-01-31T08:00:00Z, or an offset")]
    Unknown,
}

impl FromStr for Target {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, TargetError> {
        match text {
            "earliest" => Ok(Self::Earliest),
            "latest" => Ok(Self::Latest),
            // Digits are an offset, never Unix seconds.
            _ if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) => {
                text.parse().map(Self::Offset).map_err(|_| TargetError::TooLarge)
            }
            // Other numbers are not times either.
            _ if text.parse::<f64>().is_ok() => Err(TargetError::NotWhole),
            _ => time::parse_text(text).map(Self::Time).ok_or(TargetError::Unknown),
        }
    }
}

impl Target {
    /// Returns each position with its new offset. Blocks.
    pub(super) fn resolve(
        self,
        client: &GroupOffsets,
        positions: Vec<Position>,
    ) -> Result<Vec<(Position, i64)>, OffsetsError> {
        let each = |new: fn(&Position) -> i64| {
            let with_new = |position: Position| {
                let new = new(&position);
                (position, new)
            };
            positions.iter().cloned().map(with_new).collect()
        };
        match self {
            Self::Earliest => Ok(each(|position| position.low)),
            Self::Latest => Ok(each(|position| position.high)),
            Self::Offset(offset) => {
                let is_outside = |position: &&Position| !(position.low..=position.high).contains(&offset);
                if let Some(outside) = positions.iter().find(is_outside) {
                    return Err(OffsetsError::OutOfRange {
                        offset,
                        topic: outside.topic.clone(),
                        partition: outside.partition,
                        low: outside.low,
                        high: outside.high,
                    });
                }
                Ok(positions.into_iter().map(|position| (position, offset)).collect())
            }
            Self::Time(time) => {
                if time > Timestamp::now() {
                    return Err(OffsetsError::InFuture(time));
                }
                let partitions: Vec<(String, i32)> = positions
                    .iter()
                    .map(|position| (position.topic.clone(), position.partition))
                    .collect();
                let found = client.at_time(&partitions, time)?;
                let moves = positions.into_iter().zip(found).map(|(position, offset)| {
                    // `None`: nothing was written since, so the target is the end.
                    let new = offset.unwrap_or(position.high);
                    (position, new)
                });
                Ok(moves.collect())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_an_offset_and_everything_else_a_word_or_a_time() {
        assert_eq!("earliest".parse(), Ok(Target::Earliest));
        assert_eq!("latest".parse(), Ok(Target::Latest));
        assert_eq!("1735646400".parse(), Ok(Target::Offset(1_735_646_400)));
        let noon = Target::Time("2024-12-31T12:00:00Z".parse().unwrap());
        assert_eq!("2024-12-31T12:00:00Z".parse(), Ok(noon));
        assert_eq!("2024-12-31 12:00".parse(), Ok(noon));
        for bad in ["", "soon", "-1", "1.5", "99999999999999999999"] {
            assert!(bad.parse::<Target>().is_err(), "{bad}");
        }
    }
}

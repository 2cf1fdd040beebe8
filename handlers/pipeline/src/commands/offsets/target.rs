//! Where a reset leads: an end of the topic, a time, or an offset.

use std::str::FromStr;

use jiff::Timestamp;

use super::Error;
use super::positions::Position;
use crate::arguments::parse_time;
use xact_kafka::admin::GroupOffsets;

/// `--to`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    Earliest,
    Latest,
    Time(Timestamp),
    Offset(i64),
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "earliest" => Ok(Self::Earliest),
            "latest" => Ok(Self::Latest),
            // Digits are an offset, never Unix seconds.
            _ if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) => text
                .parse()
                .map(Self::Offset)
                .map_err(|_| "no offset is as large".to_owned()),
            // Nor is any other number a time here.
            _ if text.parse::<f64>().is_ok() => Err("an offset is a whole number from 0 on".to_owned()),
            _ => parse_time(text)
                .map(Self::Time)
                .map_err(|_| "give earliest, latest, a time such as 2025-01-31T08:00:00Z, or an offset".to_owned()),
        }
    }
}

impl Target {
    /// The new offset of each partition. Blocks.
    pub(super) fn moves(self, client: &GroupOffsets, positions: Vec<Position>) -> Result<Vec<(Position, i64)>, Error> {
        match self {
            Self::Earliest => Ok(positions
                .into_iter()
                .map(|position| {
                    let new = position.lag.start;
                    (position, new)
                })
                .collect()),
            Self::Latest => Ok(positions
                .into_iter()
                .map(|position| {
                    let new = position.lag.end;
                    (position, new)
                })
                .collect()),
            Self::Offset(offset) => {
                let outside = positions
                    .iter()
                    .find(|position| !(position.lag.start..=position.lag.end).contains(&offset));
                if let Some(Position { lag, .. }) = outside {
                    return Err(format!(
                        "offset {offset} is not in {}[{}], which holds {} to {}: choose another, or one partition with --topic and --partition",
                        lag.topic, lag.partition, lag.start, lag.end
                    )
                    .into());
                }
                Ok(positions.into_iter().map(|position| (position, offset)).collect())
            }
            Self::Time(time) => {
                if time > Timestamp::now() {
                    return Err(format!(
                        "{} is in the future: `--to latest` skips everything that is there",
                        xact_contracts::time::format(time)
                    )
                    .into());
                }
                let partitions: Vec<(String, i32)> = positions
                    .iter()
                    .map(|position| (position.lag.topic.clone(), position.lag.partition))
                    .collect();
                let found = client.at_time(&partitions, time)?;
                let moves = positions.into_iter().zip(found).map(|(position, offset)| {
                    // Nothing was written since: behind the last record.
                    let new = offset.unwrap_or(position.lag.end);
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

//! Skips records that a group cannot read, and records what they were.
//!
//! Each readable record, and each range that cannot be read, becomes a dead letter before the position moves: the audit log,
//! `dlq list` and `reconcile` know it, and a readable one can be replayed. If the process is killed in between, the same
//! request continues: a part that has its dead letter does not get a second one.

mod letters;
mod parts;
mod request;

pub use request::{SkipRequest, Until};

use jiff::Timestamp;
use serde::Serialize;

use super::OffsetsError;
use super::positions::{Group, Position, group};
use crate::blocking::blocking;
use crate::delivery::Delivery;
use parts::{Part, PartitionAtBroker};
use xact_config::Settings;
use xact_contracts::redaction::redact_text;
use xact_contracts::time;
use xact_kafka::Outgoing;
use xact_kafka::admin::RecordProbe;

/// What a request leads to.
#[derive(Debug, Clone)]
pub enum Skip {
    /// The group is already after the offset of the request.
    Done(SkipDone),
    /// This would be done.
    Planned(Box<SkipPlan>),
}

/// The position of a group that is already after the offset of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SkipDone {
    /// The group.
    pub group: String,
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// The offset of the request.
    pub offset: i64,
    /// The committed offset.
    pub committed: i64,
}

/// What a skip would do.
#[derive(Debug, Clone, Serialize)]
pub struct SkipPlan {
    /// The group.
    pub group: String,
    /// Its stage.
    pub stage: &'static str,
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// The position of the group.
    pub from: i64,
    /// The new position.
    pub to: i64,
    /// What is skipped.
    pub parts: Vec<SkippedPart>,
    /// What an operator must know about the positions of the tables.
    pub notes: Vec<String>,
    #[serde(skip)]
    request: SkipRequest,
    #[serde(skip)]
    state: Group,
    #[serde(skip)]
    found: Vec<Part>,
}

/// A record that is skipped, or a range that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SkippedPart {
    /// The first offset.
    pub first: i64,
    /// The last offset.
    pub last: i64,
    /// When the record was written.
    #[serde(with = "time::optional")]
    pub written: Option<Timestamp>,
    /// The key of the record, without secrets.
    pub key: Option<String>,
    /// The size of the value of the record.
    pub bytes: Option<usize>,
    /// Why the range cannot be read; `None`: a readable record.
    pub unreadable: Option<String>,
}

impl SkippedPart {
    fn new(part: &Part) -> Self {
        match part {
            Part::Record(record) => Self {
                first: record.offset,
                last: record.offset,
                written: record.timestamp,
                key: record.key_text().map(redact_text),
                bytes: Some(record.value.as_ref().map_or(0, Vec::len)),
                unreadable: None,
            },
            Part::Unreadable { from, to, reason } => Self {
                first: *from,
                last: to - 1,
                written: None,
                key: None,
                bytes: None,
                unreadable: Some(reason.clone()),
            },
        }
    }
}

/// Returns what a skip would do.
///
/// # Errors
/// When the group is not at the offset of the request, or a broker or a table cannot be read.
pub async fn plan(settings: &Settings, request: SkipRequest) -> Result<Skip, OffsetsError> {
    if request.reason.trim().is_empty() {
        return Err(OffsetsError::NoReason);
    }
    let group = group(settings, &request.group).await?;
    let position = position(&group, &request)?;
    if let Progress::After { committed } = progress(position, &request)? {
        return Ok(Skip::Done(SkipDone {
            group: request.group,
            topic: request.topic,
            partition: request.partition,
            offset: request.offset,
            committed,
        }));
    }
    let cluster = settings.cluster_of(group.stage.row().consumes).clone();
    let (until, end, of_request) = (request.until, position.high, request.clone());
    let (found, to) = blocking(move || {
        let log = PartitionAtBroker {
            probe: &RecordProbe::connect(&cluster)?,
            topic: &of_request.topic,
            partition: of_request.partition,
        };
        parts::between(&log, of_request.offset, until, end)
    })
    .await?;
    Ok(Skip::Planned(Box::new(SkipPlan {
        group: group.name.clone(),
        stage: group.stage.name(),
        topic: request.topic.clone(),
        partition: request.partition,
        from: request.offset,
        to,
        parts: found.iter().map(SkippedPart::new).collect(),
        notes: group.notes(),
        request,
        state: group,
        found,
    })))
}

impl SkipPlan {
    /// Refuses a group that has members, which must be stopped first.
    ///
    /// # Errors
    /// [`OffsetsError::HasMembers`] or [`OffsetsError::UnknownMembers`].
    pub fn require_no_members(&self, settings: &Settings) -> Result<(), OffsetsError> {
        self.state.require_no_members(settings)
    }

    /// Writes the dead letters, then moves the position. Returns the number of dead letters that were written.
    ///
    /// # Errors
    /// When the group has members, or a broker refuses or does not answer.
    pub async fn execute(&self, settings: &Settings, now: Timestamp) -> Result<usize, OffsetsError> {
        self.require_no_members(settings)?;
        let mut letters: Vec<_> = self
            .found
            .iter()
            .map(|part| letters::letter(&self.request, self.stage, part, now))
            .collect();
        // The topic of the dead letters may be the one that cannot be read.
        if self.topic != settings.topics.dlq {
            let known = letters::written(settings, self.stage).await?;
            letters.retain(|letter| !known.contains(&letters::place(&letter.source)));
        }
        let outgoing: Vec<Outgoing> = letters
            .iter()
            .map(|letter| letters::outgoing(settings, letter))
            .collect();
        Delivery::new(&settings.internal_cluster)?.send(&outgoing).await?;
        let moved = vec![((self.topic.clone(), self.partition), self.to)];
        self.state.commit(settings, moved).await?;
        Ok(outgoing.len())
    }
}

fn position<'a>(group: &'a Group, request: &SkipRequest) -> Result<&'a Position, OffsetsError> {
    let mut positions = group.positions.iter();
    let found = positions.find(|position| position.topic == request.topic && position.partition == request.partition);
    found.ok_or_else(|| OffsetsError::NotRead {
        group: request.group.clone(),
        topic: request.topic.clone(),
        partition: request.partition,
    })
}

/// The position of the group, compared with the offset of a request.
#[derive(Debug, PartialEq, Eq)]
enum Progress {
    /// It is there.
    At,
    /// It is already after it.
    After { committed: i64 },
}

fn progress(position: &Position, request: &SkipRequest) -> Result<Progress, OffsetsError> {
    let (topic, partition, offset) = (request.topic.clone(), request.partition, request.offset);
    let Some(committed) = position.committed else {
        return Err(OffsetsError::NotCommitted {
            group: request.group.clone(),
            topic,
            partition,
        });
    };
    let next = position.next();
    if next > offset {
        return Ok(Progress::After { committed });
    }
    if next < offset {
        return Err(OffsetsError::NotNext {
            group: request.group.clone(),
            position: next,
            topic,
            partition,
            offset,
        });
    }
    match request.until {
        Until::Offset(to) if to <= offset || to > position.high => Err(OffsetsError::BadEnd {
            topic,
            partition,
            first: offset + 1,
            high: position.high,
        }),
        Until::Offset(_) | Until::Next => Ok(Progress::At),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(offset: i64, until: Until) -> SkipRequest {
        SkipRequest {
            group: "xact-event-writer".to_owned(),
            topic: "xact.events.raw".to_owned(),
            partition: 2,
            offset,
            until,
            reason: "damaged on disk, ticket 7".to_owned(),
        }
    }

    fn position(committed: Option<i64>) -> Position {
        Position {
            topic: "xact.events.raw".to_owned(),
            partition: 2,
            committed,
            low: 10,
            high: 30,
            lag: 0,
            in_tables: None,
        }
    }

    #[test]
    fn only_what_the_group_reads_next_is_skipped() {
        let progress = |committed, offset| progress(&position(committed), &request(offset, Until::Next));
        assert_eq!(progress(Some(17), 17).unwrap(), Progress::At);
        let again = progress(Some(18), 17).unwrap();
        assert_eq!(again, Progress::After { committed: 18 }, "a repeated request");
        assert_eq!(progress(Some(4), 10).unwrap(), Progress::At, "the rest has expired");
        let ahead = progress(Some(16), 17).unwrap_err().to_string();
        assert!(ahead.contains("--offset 16"), "{ahead}");
        assert!(progress(None, 17).is_err());
    }

    #[test]
    fn a_skip_ends_within_the_partition() {
        for (to, is_good) in [(18, true), (30, true), (31, false), (17, false), (3, false)] {
            let progress = progress(&position(Some(17)), &request(17, Until::Offset(to)));
            assert_eq!(progress.is_ok(), is_good, "{to}: {progress:?}");
        }
    }
}

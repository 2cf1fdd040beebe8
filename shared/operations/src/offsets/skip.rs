//! Skips records that a group cannot read, and records what they were.
//!
//! Each readable record, and each range that cannot be read, becomes a dead letter before the position moves: the audit log,
//! `dlq list` and `reconcile` know it, and a readable one can be replayed. If the process is killed in between, the same
//! request continues: a part that has its dead letter does not get a second one.

mod letters;
mod parts;
mod request;

pub use request::SkipRequest;

use jiff::Timestamp;
use serde::Serialize;

use super::positions::{Group, Position, group};
use crate::blocking::blocking;
use crate::delivery::Delivery;
use crate::error::{OperationError, refuse};
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
    /// The group as it was found.
    #[serde(skip)]
    pub state: Group,
    #[serde(skip)]
    request: SkipRequest,
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
pub async fn plan(settings: &Settings, request: SkipRequest) -> Result<Skip, OperationError> {
    if request.reason.trim().is_empty() {
        return refuse("--reason must not be empty: it is written to the dead letters");
    }
    let group = group(settings, &request.group).await?;
    let position = position(&group, &request)?;
    if let Some(committed) = already_after(position, &request)? {
        return Ok(Skip::Done(SkipDone {
            group: request.group,
            topic: request.topic,
            partition: request.partition,
            offset: request.offset,
            committed,
        }));
    }
    let cluster = settings.cluster_of(group.stage.row().consumes).clone();
    let (end, of_request) = (position.high, request.clone());
    let (found, to) = blocking(move || {
        let log = PartitionAtBroker {
            probe: &RecordProbe::connect(&cluster)?,
            topic: &of_request.topic,
            partition: of_request.partition,
        };
        parts::between(&log, of_request.offset, of_request.end(), end)
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
    /// Writes the dead letters, then moves the position. Returns the number of dead letters that were written.
    ///
    /// # Errors
    /// When the group has members, or a broker refuses or does not answer.
    pub async fn execute(&self, settings: &Settings, now: Timestamp) -> Result<usize, OperationError> {
        self.state.require_no_members(settings)?;
        let letters = self
            .found
            .iter()
            .map(|part| letters::letter(&self.request, self.stage, part, now));
        let mut letters: Vec<_> = letters.collect();
        // The topic of the dead letters may be the one that cannot be read.
        if self.topic != settings.topics.dlq {
            let known = letters::written(settings, self.stage).await?;
            letters.retain(|letter| !known.contains(&letters::place(&letter.source)));
        }
        let outgoing = letters.iter().map(|letter| letters::outgoing(settings, letter));
        let outgoing: Vec<Outgoing> = outgoing.collect();
        Delivery::new(&settings.internal_cluster)?.send(&outgoing).await?;
        let moved = vec![((self.topic.clone(), self.partition), self.to)];
        self.state.commit(settings, moved).await?;
        Ok(outgoing.len())
    }
}

fn position<'a>(group: &'a Group, request: &SkipRequest) -> Result<&'a Position, OperationError> {
    let mut positions = group.positions.iter();
    let found = positions.find(|position| position.topic == request.topic && position.partition == request.partition);
    Ok(found.ok_or_else(|| {
        format!(
            "group {0} does not read partition {1} of {2:?}: see `xact-pipeline offsets show --group {0}`",
            request.group, request.partition, request.topic
        )
    })?)
}

/// Returns the committed offset of a group that is already after the offset of a request; `None` if it is there.
fn already_after(position: &Position, request: &SkipRequest) -> Result<Option<i64>, OperationError> {
    let (group, offset, next, high) = (&request.group, request.offset, position.next(), position.high);
    let place = format!("{}[{}]", request.topic, request.partition);
    let Some(committed) = position.committed else {
        return refuse(format!(
            "group {group} has no committed offset in {place}: its workers commit one when they start"
        ));
    };
    if next > offset {
        return Ok(Some(committed));
    }
    if next < offset {
        return refuse(format!(
            "group {group} is at offset {next} of {place}, not at {offset}: only what it reads next can be skipped. Pass \
             --offset {next}"
        ));
    }
    match request.end() {
        Some(to) if to <= offset || to > high => {
            let first = offset + 1;
            refuse(format!(
                "{place} holds offsets up to {high}: --to must be from {first} to {high}"
            ))
        }
        _ => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(offset: i64, to: Option<i64>) -> SkipRequest {
        SkipRequest {
            group: "xact-event-writer".to_owned(),
            topic: "xact.events.raw".to_owned(),
            partition: 2,
            offset,
            count: None,
            to,
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
        let after = |committed, offset| already_after(&position(committed), &request(offset, None));
        assert_eq!(after(Some(17), 17).unwrap(), None);
        assert_eq!(after(Some(18), 17).unwrap(), Some(18), "a repeated request");
        assert_eq!(after(Some(4), 10).unwrap(), None, "the rest has expired");
        let ahead = after(Some(16), 17).unwrap_err().to_string();
        assert!(ahead.contains("--offset 16"), "{ahead}");
        assert!(after(None, 17).is_err());
    }

    #[test]
    fn a_skip_ends_within_the_partition() {
        for (to, is_good) in [(18, true), (30, true), (31, false), (17, false), (3, false)] {
            let after = already_after(&position(Some(17)), &request(17, Some(to)));
            assert_eq!(after.is_ok(), is_good, "{to}: {after:?}");
        }
    }
}

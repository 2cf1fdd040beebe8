//! `offsets skip`: a group passes over records that it cannot get past, and what they were is recorded.
//!
//! Each readable record, and each stretch of which nothing can be read, becomes a dead letter before the position moves:
//! the audit log, `dlq list` and `reconcile` know it, and a readable one can be replayed. Killed in between, the same
//! command goes on: what has its dead letter gets no second one.

use std::collections::HashSet;
use std::ops::ControlFlow;

use clap::Args;
use jiff::Timestamp;

use super::positions::{Group, Position};
use super::unread::{self, Part, Until};
use super::{Error, or_dash, refuse_members, stage_of};
use crate::outcome::{CommandResult, ExitStatus};
use crate::ui::Table;
use crate::ui::text::cell;
use xact_config::Settings;
use xact_contracts::category::Category;
use xact_contracts::messages::{DeadLetter, Problem, SourceRecord, encode};
use xact_contracts::time;
use xact_kafka::Outgoing;
use xact_kafka::admin::GroupOffsets;
use xact_kafka::admin::RecordProbe;
use xact_operations::dead_letters::DeadLetterTopic;
use xact_operations::delivery::Delivery;
use xact_telemetry::trace_context::TraceContext;

/// What every text of such a dead letter begins with.
const SKIPPED: &str = "skipped by an operator: ";

/// Rows of the table of what would be skipped.
const ROWS: usize = 100;

/// Which records, and why.
#[derive(Debug, Args)]
pub(crate) struct Skip {
    /// The group
    #[arg(long, value_name = "G")]
    group: String,
    /// The topic
    #[arg(long, value_name = "T")]
    topic: String,
    /// The partition
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(0..))]
    partition: i32,
    /// Where the group stands: its committed offset (`offsets show`). Running the command again skips nothing else
    #[arg(long, value_name = "O", value_parser = clap::value_parser!(i64).range(0..))]
    offset: i64,
    /// So many offsets; without --count and --to: that record, or up to the next one that can be read
    #[arg(long, value_name = "N", conflicts_with = "to", value_parser = clap::value_parser!(i64).range(1..))]
    count: Option<i64>,
    /// Up to this offset, which is read next
    #[arg(long, value_name = "OFFSET")]
    to: Option<i64>,
    /// Why, for the dead letters
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Do it
    #[arg(long, visible_alias = "yes")]
    execute: bool,
}

impl Skip {
    /// Where it ends.
    fn until(&self) -> Until {
        match (self.count, self.to) {
            (Some(count), _) => Until::Offset(self.offset.saturating_add(count)),
            (None, Some(to)) => Until::Offset(to),
            (None, None) => Until::Next,
        }
    }

    /// Whether the group stands where the command says; false if it stands behind it already.
    fn is_due(&self, position: &Position) -> Result<bool, String> {
        let lag = &position.lag;
        let place = format!("{}[{}]", self.topic, self.partition);
        let Some(committed) = lag.committed else {
            return Err(format!(
                "group {} has no committed offset in {place}: its workers commit one when they start",
                self.group
            ));
        };
        // What has expired is skipped by itself.
        let stands_at = committed.max(lag.start);
        if stands_at > self.offset {
            return Ok(false);
        }
        if stands_at < self.offset {
            return Err(format!(
                "group {} stands at offset {stands_at} of {place} and not at {}: only what it would read next is skipped. Give \
                 --offset {stands_at}",
                self.group, self.offset
            ));
        }
        match self.until() {
            Until::Offset(to) if to <= self.offset || to > lag.end => Err(format!(
                "{place} holds offsets up to {}: --to must be from {} to {}",
                lag.end,
                self.offset + 1,
                lag.end
            )),
            Until::Offset(_) | Until::Next => Ok(true),
        }
    }
}

/// Carries it out, or shows it.
#[allow(clippy::print_stdout)]
pub(super) async fn run(settings: &Settings, skip: Skip) -> CommandResult {
    if skip.reason.trim().is_empty() {
        return Err("--reason must say why: it stands in the dead letters".into());
    }
    let stage = stage_of(settings, &skip.group)?;
    let group = Group::read(settings, &[stage])
        .await?
        .pop()
        .ok_or("the group's positions could not be read")?;
    let position = position(&group, &skip)?;
    if !skip.is_due(position)? {
        println!(
            "nothing to skip: group {} stands at offset {} of {}[{}] already, which is behind {}",
            skip.group,
            or_dash(position.lag.committed),
            skip.topic,
            skip.partition,
            skip.offset
        );
        return Ok(ExitStatus::Ok);
    }
    let cluster = settings.cluster_of(stage.row().consumes).clone();
    let (topic, partition, offset) = (skip.topic.clone(), skip.partition, skip.offset);
    let (until, end) = (skip.until(), position.lag.end);
    let (parts, next) = tokio::task::spawn_blocking(move || {
        let probe = RecordProbe::connect(&cluster)?;
        let look = unread::Partition {
            probe: &probe,
            topic: &topic,
            partition,
        };
        unread::between(&look, offset, until, end)
    })
    .await??;
    show(&parts);
    println!(
        "group {}: the position in {}[{}] goes from {offset} to {next}",
        skip.group, skip.topic, skip.partition
    );
    for note in group.notes() {
        println!("note: {note}");
    }
    refuse_members(&group, settings)?;
    if !skip.execute {
        println!("nothing was done: --execute does it");
        return Ok(ExitStatus::Ok);
    }
    let now = Timestamp::now();
    let mut letters: Vec<DeadLetter> = parts
        .iter()
        .map(|part| letter(&skip, stage.name(), part, now))
        .collect();
    // The topic of the dead letters may be the one that cannot be read.
    if skip.topic != settings.topics.dlq {
        let known = recorded(settings, stage.name()).await?;
        letters.retain(|letter| !known.contains(&place(&letter.source)));
    }
    let outgoing: Vec<Outgoing> = letters.iter().map(|letter| outgoing(settings, letter)).collect();
    Delivery::new(&settings.internal_cluster)?.send(&outgoing).await?;
    let client = GroupOffsets::new(settings.cluster_of(stage.row().consumes), &group.name)?;
    let moved = [((skip.topic, skip.partition), next)];
    tokio::task::spawn_blocking(move || client.commit(&moved)).await??;
    println!("done: {} dead letters written, the position is {next}", outgoing.len());
    Ok(ExitStatus::Ok)
}

fn position<'a>(group: &'a Group, skip: &Skip) -> Result<&'a Position, String> {
    let mut positions = group.positions.iter();
    let found = positions.find(|position| position.lag.topic == skip.topic && position.lag.partition == skip.partition);
    found.ok_or_else(|| {
        format!(
            "group {} does not read partition {} of {:?}: see `xact-pipeline offsets show --group {}`",
            skip.group, skip.partition, skip.topic, skip.group
        )
    })
}

#[allow(clippy::print_stdout)]
fn show(parts: &[Part]) {
    let mut shown = Table::new(&["offset", "written", "key", "bytes", "what"]);
    for part in parts.iter().take(ROWS) {
        shown.add_row(match part {
            Part::Record(record) => [
                record.offset.to_string(),
                record.timestamp.map_or_else(|| "-".to_owned(), time::format),
                record.key_text().map_or_else(|| "-".to_owned(), cell),
                record.value.as_ref().map_or(0, Vec::len).to_string(),
                "a record".to_owned(),
            ],
            Part::Unreadable { from, to, reason } => [
                format!("{from} to {}", to - 1),
                "-".to_owned(),
                "-".to_owned(),
                "-".to_owned(),
                format!("unreadable: {}", cell(reason)),
            ],
        });
    }
    println!("{shown}");
    if parts.len() > ROWS {
        println!("and {} more", parts.len() - ROWS);
    }
}

fn letter(skip: &Skip, stage: &str, part: &Part, now: Timestamp) -> DeadLetter {
    let source = |offset, timestamp| SourceRecord {
        topic: skip.topic.clone(),
        partition: skip.partition,
        offset,
        timestamp,
    };
    match part {
        Part::Record(record) => {
            let problem = Problem::new(Category::Permanent, format!("{SKIPPED}{}", skip.reason));
            let payload = record.value.as_deref().unwrap_or_default();
            let trace_id = record.key_text().map(str::to_owned);
            let source = source(record.offset, record.timestamp);
            DeadLetter::of_payload(payload, trace_id, &problem, stage, source, now)
        }
        Part::Unreadable { from, to, reason } => {
            let last = to - 1;
            let problem = Problem::new(
                Category::Permanent,
                format!(
                    "{SKIPPED}{} (offsets {from} to {last} cannot be read: {reason})",
                    skip.reason
                ),
            );
            let unread = DeadLetter::of_payload(&[], None, &problem, stage, source(*from, None), now);
            // There is nothing to replay.
            DeadLetter {
                original_payload: None,
                ..unread
            }
        }
    }
}

fn outgoing(settings: &Settings, letter: &DeadLetter) -> Outgoing {
    Outgoing {
        topic: settings.topics.dlq.clone(),
        key: letter.trace_id.clone().unwrap_or_default(),
        value: encode(letter),
        trace: TraceContext::new(),
    }
}

fn place(source: &SourceRecord) -> (String, i32, i64) {
    (source.topic.clone(), source.partition, source.offset)
}

/// Sources of the dead letters that earlier runs of this command have written for a stage.
async fn recorded(settings: &Settings, stage: &'static str) -> Result<HashSet<(String, i32, i64)>, Error> {
    let settings = settings.clone();
    tokio::task::spawn_blocking(move || {
        let mut known = HashSet::new();
        DeadLetterTopic::open(&settings)?.visit(|entry| {
            if let Some(letter) = entry.letter()
                && letter.stage == stage
                && letter.final_error.starts_with(SKIPPED)
            {
                known.insert(place(&letter.source));
            }
            ControlFlow::Continue(())
        })?;
        Ok(known)
    })
    .await?
}

#[cfg(test)]
mod tests {
    use super::*;
    use xact_contracts::topology::Stage;
    use xact_kafka::admin::PartitionLag;

    fn skip(offset: i64, count: Option<i64>, to: Option<i64>) -> Skip {
        Skip {
            group: "xact-event-writer".to_owned(),
            topic: "xact.events.raw".to_owned(),
            partition: 2,
            offset,
            count,
            to,
            reason: "damaged on disk, ticket 7".to_owned(),
            execute: false,
        }
    }

    fn position(committed: Option<i64>) -> Position {
        Position {
            lag: PartitionLag {
                stage: Stage::EventWriter,
                group: "xact-event-writer".to_owned(),
                topic: "xact.events.raw".to_owned(),
                partition: 2,
                committed,
                start: 10,
                end: 30,
            },
            in_tables: None,
        }
    }

    #[test]
    fn only_what_the_group_would_read_next_is_skipped() {
        assert_eq!(skip(17, None, None).is_due(&position(Some(17))), Ok(true));
        assert_eq!(skip(17, None, None).is_due(&position(Some(18))), Ok(false), "run again");
        assert_eq!(
            skip(10, None, None).is_due(&position(Some(4))),
            Ok(true),
            "the rest has expired"
        );
        let ahead = skip(17, None, None).is_due(&position(Some(16))).unwrap_err();
        assert!(ahead.contains("--offset 16"), "{ahead}");
        assert!(skip(17, None, None).is_due(&position(None)).is_err());
    }

    #[test]
    fn it_ends_within_the_partition() {
        for (count, to, is_good) in [
            (Some(1), None, true),
            (Some(13), None, true),
            (Some(14), None, false),
            (None, Some(30), true),
            (None, Some(31), false),
            (None, Some(17), false),
            (None, Some(3), false),
        ] {
            let due = skip(17, count, to).is_due(&position(Some(17)));
            assert_eq!(due.is_ok(), is_good, "{count:?} {to:?}: {due:?}");
        }
    }

    #[test]
    fn a_stretch_that_cannot_be_read_leaves_a_letter_without_a_message() {
        let part = Part::Unreadable {
            from: 17,
            to: 22,
            reason: "Decompression failed".to_owned(),
        };
        let now = "2025-01-01T00:00:00Z".parse().unwrap();
        let letter = letter(&skip(17, None, None), "event-writer", &part, now);
        assert_eq!(
            letter.final_error,
            "skipped by an operator: damaged on disk, ticket 7 (offsets 17 to 21 cannot be read: Decompression failed)"
        );
        assert_eq!((letter.original_payload, letter.source.offset), (None, 17));
        assert_eq!(letter.error_category, Category::Permanent);
    }
}

//! Compares the three positions of a partition: the group's committed offset, the table's position, and the topic's bounds.
//!
//! A batch is first committed to the tables (rows and positions in one Delta commit) and then to the group.
//!
//! - Therefore a table *ahead of* the group is normal after a crash. The records are redelivered, skipped by offset, and the
//!   work that follows an append is repeated.
//! - A batch without rows for a table makes no commit in it, so a table *behind* the group is normal too: no record between
//!   its position and the committed offset has a row in this table.
//! - The metadata of the committed offset (`CommitMetadata`) holds the tables' positions, which distinguishes this from a
//!   table that has lost commits: such a table is behind its noted position. (Spark's `RESTORE` removes rows and leaves the
//!   positions; `xact_lake` detects it and returns the positions that match the rows.)
//!
//! No record may be skipped without a log line:
//!
//! | found | reason | action |
//! |---|---|---|
//! | table ahead of the topic's end | the topic was recreated, or belongs to another broker | refuse to start |
//! | table ahead, group without an offset | the topic was recreated and has grown past the table's position, or the group's offsets expired | read from the first record; the table's position is set back, keys deduplicate the rows |
//! | table ahead of an offset that decreased without an operator | the topic was recreated while it was read | the same, from that offset |
//! | table behind the group, at or ahead of its noted position | no rows for it since | none |
//! | table behind the group and its noted position, or no position noted | it was restored to an earlier version, replaced by another, or writing to it was disabled | rewind to the table's position |
//! | table behind an offset that an operator reset | the operator skips the records between intentionally | none |
//! | table without a position, new group that starts late (`EVENTHUB_AUTO_OFFSET_RESET=latest`) | first start | the table's position is set; without it the table would later count as replaced |

use xact_runtime::{Assigned, CommitMetadata};

/// What to do about a partition.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// Start where the runtime would.
    Agree,
    /// Start at an earlier offset.
    Rewind {
        /// The offset to start at.
        to: i64,
        /// For the log.
        reason: String,
        /// Number of records whose rows the table may lack and that the topic no longer has.
        expired: i64,
    },
    /// Set the table's position to the offset at which reading starts.
    SetPosition {
        /// The offset.
        to: i64,
        /// For the log.
        reason: String,
    },
    /// Do not start: an operator must decide. The text says how.
    Refuse(String),
}

/// Compares the positions of a partition; `position` is the table's next offset, if it has one.
pub(crate) fn compare(table: &str, partition: &Assigned, position: Option<i64>) -> Decision {
    let (topic, id, note) = (&partition.topic, partition.partition, &partition.metadata);
    let (committed, start, first, end) = (partition.committed, partition.start, partition.first, partition.end);
    if let Some(ahead) = position.filter(|&position| position > end) {
        return Decision::Refuse(format!(
            "table {table} has rows up to offset {ahead} of {topic}[{id}], but the topic ends at {end}: the topic was recreated, or the table belongs to another broker. \
             Continuing would skip messages. Use a new consumer group prefix (KAFKA_CONSUMER_GROUP_PREFIX), for which the table has no positions yet (keys still deduplicate the rows), or a new table path"
        ));
    }
    match (committed, position) {
        (None, None) if start > first => Decision::SetPosition {
            to: start,
            reason: format!(
                "the new group starts at offset {start} of {topic}[{id}], according to EVENTHUB_AUTO_OFFSET_RESET"
            ),
        },
        (None, Some(ahead)) if ahead > first => Decision::SetPosition {
            to: first,
            reason: format!(
                "table {table} has rows up to offset {ahead} of {topic}[{id}], but the group has no committed offset: the topic was recreated, or the group's offsets expired. Reading from the first record, {first}; existing rows are not added again"
            ),
        },
        (Some(committed), Some(ahead)) if ahead > committed && matches!(note, Some(CommitMetadata::TopicRecreated)) => {
            Decision::SetPosition {
                to: committed,
                reason: format!(
                    "{topic}[{id}] was recreated while it was read: table {table} had rows up to offset {ahead} of the previous topic. Reading from {committed}; existing rows are not added again"
                ),
            }
        }
        (Some(committed), _) if position.unwrap_or(first) < committed => match note {
            Some(CommitMetadata::OperatorReset) => Decision::Agree,
            Some(CommitMetadata::Tables(noted)) if noted.get(table).is_some_and(|noted| position >= *noted) => {
                Decision::Agree
            }
            _ => rewind(table, partition, committed, position),
        },
        _ => Decision::Agree,
    }
}

fn rewind(table: &str, partition: &Assigned, committed: i64, position: Option<i64>) -> Decision {
    let (topic, id, first) = (&partition.topic, partition.partition, partition.first);
    let to = position.unwrap_or(first).max(first);
    let found = position.map_or_else(
        || "has no position".to_owned(),
        |position| format!("has rows only up to offset {position}"),
    );
    let expired = position.map_or(0, |position| (first - position).max(0));
    let reconcile = match expired {
        0 => String::new(),
        expired => format!(
            ". The {expired} records from {} to {first} are no longer in the topic: find what is missing with `xact-pipeline reconcile`",
            first - expired
        ),
    };
    Decision::Rewind {
        to,
        reason: format!(
            "table {table} {found} of {topic}[{id}], but the group has committed {committed}: the table was restored or replaced, or writing to it was disabled. Reading again from {to}; existing rows are not added again{reconcile}"
        ),
        expired,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A topic with the records 100 to 1000.
    fn partition(committed: Option<i64>, note: Option<CommitMetadata>) -> Assigned {
        Assigned {
            app_id: "g:t:0".into(),
            topic: "t".to_owned(),
            partition: 0,
            committed,
            metadata: note,
            start: committed.unwrap_or(100),
            first: 100,
            end: 1000,
        }
    }

    fn decide(committed: Option<i64>, note: Option<CommitMetadata>, position: Option<i64>) -> Decision {
        compare("xact_events", &partition(committed, note), position)
    }

    fn noted(table: &str, position: Option<i64>) -> Option<CommitMetadata> {
        Some(CommitMetadata::Tables([(table.to_owned(), position)].into()))
    }

    #[test]
    fn a_table_agrees_if_nothing_that_it_lacks_would_be_skipped() {
        let reset = || Some(CommitMetadata::OperatorReset);
        for (case, committed, note, position) in [
            ("at the group's offset", Some(500), None, Some(500)),
            ("ahead of the group", Some(500), None, Some(501)),
            ("at the end of the topic", Some(500), None, Some(1000)),
            ("a first start", None, None, None),
            ("a first start, again before any record", Some(100), None, None),
            ("and after its first records expired", Some(40), None, None),
            ("at the first record", None, None, Some(100)),
            ("reset to read again", Some(200), reset(), Some(900)),
            ("reset to skip records", Some(500), reset(), Some(300)),
            ("reset, without a position", Some(500), reset(), None),
            ("as noted", Some(500), noted("xact_events", Some(300)), Some(300)),
            (
                "ahead of the note",
                Some(500),
                noted("xact_events", Some(300)),
                Some(400),
            ),
            ("no position, as noted", Some(500), noted("xact_events", None), None),
            ("the first position", Some(500), noted("xact_events", None), Some(300)),
        ] {
            assert_eq!(decide(committed, note, position), Decision::Agree, "{case}");
        }
    }

    #[test]
    fn a_table_ahead_of_the_topic_is_refused() {
        for committed in [None, Some(500), Some(1001)] {
            let Decision::Refuse(why) = decide(committed, None, Some(1001)) else {
                panic!("{committed:?}");
            };
            assert!(why.contains("KAFKA_CONSUMER_GROUP_PREFIX"), "{why}");
            assert!(why.contains("1001"), "{why}");
        }
    }

    #[test]
    fn a_position_is_set_for_a_recreated_topic_and_for_a_new_group_that_starts_late() {
        let late = Assigned {
            start: 1000,
            ..partition(None, None)
        };
        let recreated = partition(Some(120), Some(CommitMetadata::TopicRecreated));
        // Even if the topic has grown past the table.
        for (partition, position, expected) in [
            (partition(None, None), Some(900), 100),
            (recreated, Some(900), 120),
            (late, None, 1000),
        ] {
            let decision = compare("xact_events", &partition, position);
            let is_set = matches!(decision, Decision::SetPosition { to, .. } if to == expected);
            assert!(is_set, "{decision:?}");
        }
    }

    #[test]
    fn a_table_that_has_lost_rows_is_read_again_and_expired_records_are_counted() {
        let others = noted("xact_attachments", Some(500));
        let none = Some(CommitMetadata::Tables([].into()));
        let noted = |position| noted("xact_events", position);
        for (note, position, from, missing) in [
            (None, Some(300), 300, 0),
            (None, Some(60), 100, 40),
            (None, None, 100, 0),
            (noted(Some(300)), Some(299), 299, 0),
            (noted(Some(300)), Some(100), 100, 0),
            (noted(Some(300)), Some(99), 100, 1),
            (noted(Some(300)), Some(40), 100, 60),
            (noted(Some(300)), None, 100, 0),
            // Writing it was switched off, so only other tables were noted.
            (others, Some(300), 300, 0),
            (none, Some(300), 300, 0),
        ] {
            let case = format!("{note:?} {position:?}");
            let Decision::Rewind { to, reason, expired } = decide(Some(500), note, position) else {
                panic!("{case}");
            };
            assert_eq!((to, expired), (from, missing), "{case}");
            assert_eq!(reason.contains("reconcile"), missing > 0, "{reason}");
            let gap = format!("from {} to 100 are no longer in the topic", 100 - missing);
            assert_eq!(reason.contains(&gap), missing > 0, "{reason}");
            let names = |offset: i64| reason.contains(&offset.to_string());
            assert!(names(500) && position.is_none_or(names), "{reason}");
        }
    }
}

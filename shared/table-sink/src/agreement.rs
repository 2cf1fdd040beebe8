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
    let Assigned {
        topic,
        partition: id,
        committed,
        metadata: note,
        start,
        first,
        end,
        ..
    } = partition;
    let (committed, first, end) = (*committed, *first, *end);
    if let Some(ahead) = position.filter(|&position| position > end) {
        return Decision::Refuse(format!(
            "table {table} has rows up to offset {ahead} of {topic}[{id}], but the topic ends at {end}: the topic was recreated, or the table belongs to another broker. \
             Continuing would skip messages. Use a new consumer group prefix (KAFKA_CONSUMER_GROUP_PREFIX), for which the table has no positions yet (keys still deduplicate the rows), or a new table path"
        ));
    }
    match (committed, position) {
        (None, None) if *start > first => Decision::SetPosition {
            to: *start,
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
    let Assigned {
        topic,
        partition: id,
        first,
        ..
    } = partition;
    let first = *first;
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
    use std::collections::BTreeMap;

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

    fn decided(
        committed: Option<i64>,
        note: Option<CommitMetadata>,
        position: Option<i64>,
    ) -> (&'static str, i64, String) {
        match compare("xact_events", &partition(committed, note), position) {
            Decision::Agree => ("agree", -1, String::new()),
            Decision::Rewind { to, reason, .. } => ("rewind", to, reason),
            Decision::SetPosition { to, reason } => ("set position", to, reason),
            Decision::Refuse(reason) => ("refuse", -1, reason),
        }
    }

    #[test]
    fn a_table_at_or_ahead_of_the_group_agrees() {
        for position in [500, 501, 1000] {
            assert_eq!(decided(Some(500), None, Some(position)).0, "agree", "{position}");
        }
        assert_eq!(decided(None, None, None).0, "agree", "a first start");
        assert_eq!(
            decided(Some(100), None, None).0,
            "agree",
            "a first start, again before any record"
        );
        assert_eq!(
            decided(Some(40), None, None).0,
            "agree",
            "and after its first records expired"
        );
        assert_eq!(decided(None, None, Some(100)).0, "agree");
        assert_eq!(
            decided(Some(200), Some(CommitMetadata::OperatorReset), Some(900)).0,
            "agree",
            "reset to read again"
        );
    }

    #[test]
    fn a_table_ahead_of_the_topic_is_refused() {
        for committed in [None, Some(500), Some(1001)] {
            let (decision, _, why) = decided(committed, None, Some(1001));
            assert_eq!(decision, "refuse");
            assert!(
                why.contains("KAFKA_CONSUMER_GROUP_PREFIX") && why.contains("1001"),
                "{why}"
            );
        }
    }

    #[test]
    fn a_recreated_topic_is_read_from_its_first_record_even_if_it_has_grown_past_the_table() {
        let (decision, to, _) = decided(None, None, Some(900));
        assert_eq!((decision, to), ("set position", 100));
        let (decision, to, _) = decided(Some(120), Some(CommitMetadata::TopicRecreated), Some(900));
        assert_eq!((decision, to), ("set position", 120));
    }

    #[test]
    fn a_table_behind_the_group_is_read_again_from_its_own_position() {
        let (decision, to, why) = decided(Some(500), None, Some(300));
        assert_eq!((decision, to), ("rewind", 300));
        assert!(
            why.contains("300") && why.contains("500") && !why.contains("reconcile"),
            "{why}"
        );
        let (decision, to, why) = decided(Some(500), None, Some(60));
        assert_eq!((decision, to), ("rewind", 100));
        assert!(why.contains("from 60 to 100 are no longer in the topic"), "{why}");
        let (decision, to, _) = decided(Some(500), None, None);
        assert_eq!((decision, to), ("rewind", 100), "another table");
    }

    #[test]
    fn a_reset_by_an_operator_may_skip_records() {
        for position in [Some(300), None] {
            assert_eq!(
                decided(Some(500), Some(CommitMetadata::OperatorReset), position).0,
                "agree"
            );
        }
    }

    fn noted(table: &str, position: Option<i64>) -> Option<CommitMetadata> {
        Some(CommitMetadata::Tables([(table.to_owned(), position)].into()))
    }

    #[test]
    fn a_position_behind_the_group_as_noted_agrees() {
        for (was, is) in [
            (Some(300), Some(300)),
            (Some(300), Some(400)),
            (None, None),
            (None, Some(300)),
        ] {
            let (decision, ..) = decided(Some(500), noted("xact_events", was), is);
            assert_eq!(decision, "agree", "{was:?} {is:?}");
        }
    }

    #[test]
    fn a_table_that_has_lost_its_noted_position_is_read_again() {
        for (note, is, from) in [
            (noted("xact_events", Some(300)), Some(299), 299),
            (noted("xact_events", Some(300)), None, 100),
            // Writing it was switched off, so only other tables were noted.
            (noted("xact_attachments", Some(500)), Some(300), 300),
            (Some(CommitMetadata::Tables(BTreeMap::new())), Some(300), 300),
        ] {
            let (decision, to, _) = decided(Some(500), note.clone(), is);
            assert_eq!((decision, to), ("rewind", from), "{note:?} {is:?}");
        }
    }

    #[test]
    fn expired_records_that_a_restored_table_lacks_are_counted() {
        let noted = noted("xact_events", Some(300));
        for (position, expected) in [(40, 60), (99, 1), (100, 0), (299, 0)] {
            let Decision::Rewind { expired, reason, .. } =
                compare("xact_events", &partition(Some(500), noted.clone()), Some(position))
            else {
                panic!("{position}");
            };
            assert_eq!(expired, expected, "{position}");
            assert_eq!(reason.contains("reconcile"), expected > 0, "{reason}");
        }
    }

    #[test]
    fn a_new_group_that_starts_late_sets_the_tables_position() {
        let starts_late = Assigned {
            start: 1000,
            ..partition(None, None)
        };
        assert!(matches!(
            compare("t", &starts_late, None),
            Decision::SetPosition { to: 1000, .. }
        ));
    }
}

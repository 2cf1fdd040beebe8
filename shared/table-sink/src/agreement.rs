//! Compares the three positions of a partition: the group's committed offset, the table's, and the topic's first and last.
//!
//! A batch is committed to the tables first, its positions with its rows, and to the group after that. So a table that is
//! ahead of the group is normal after a crash: the records come again, are skipped by offset, and what has to follow an
//! append is done once more. A batch without rows for a table makes no commit in it, so a table that is behind the group
//! is normal as well: a position only rules out records whose rows are there, and between it and the committed offset no
//! record has a row of this table. The broker keeps the tables' positions beside the committed offset (`CommitMetadata`); a
//! table that is behind its noted position has lost commits. (Spark's `RESTORE` takes rows back and leaves positions; the
//! lake then tells those that fit the rows.) Nothing may skip records without a word:
//!
//! | seen | reason | action |
//! |---|---|---|
//! | table ahead of the topic's end | the topic was recreated, or is another broker's | refused |
//! | table ahead of a group that has no offset | the topic was recreated and has outrun the table, or the group's offsets expired | read from the first record; the table's position goes back, the keys keep rows single |
//! | table ahead of an offset that went back by itself | the topic was recreated while it was read | as above, from that offset |
//! | table behind the group, at its noted position or ahead of it | no rows for it since | none |
//! | table behind the group and its noted position, or nothing is noted | it was restored to an earlier version, replaced by another, or writing was switched off | read again from the table's position |
//! | table behind an offset that an operator reset | the records between are skipped on purpose | none |
//! | table without position, new group that begins late (`EVENTHUB_AUTO_OFFSET_RESET=latest`) | the start | the table notes it, or it would later look like a table that was replaced |

use xact_runtime::{Assigned, CommitMetadata};

/// What to do about a partition.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing: begin where the runtime would.
    Agree,
    /// Begin at an earlier offset.
    GoBack {
        /// The offset.
        to: i64,
        /// For the log.
        why: String,
        /// Records of which the table may lack rows and which the topic no longer has.
        gone: i64,
    },
    /// The table's position is set to the offset at which reading begins.
    MoveTable {
        /// The offset.
        to: i64,
        /// For the log.
        why: String,
    },
    /// An operator must decide; the text says how.
    Refuse(String),
}

/// Judges a partition; `position` is the table's next offset, if it has one.
#[must_use]
pub fn judge(table: &str, partition: &Assigned, position: Option<i64>) -> Verdict {
    let Assigned {
        topic,
        partition: id,
        committed,
        note,
        start,
        first,
        end,
        ..
    } = partition;
    let (committed, first, end) = (*committed, *first, *end);
    if let Some(ahead) = position.filter(|&position| position > end) {
        return Verdict::Refuse(format!(
            "table {table} has rows up to offset {ahead} of {topic}[{id}], but the topic ends at {end}: the topic was recreated, or the table is another broker's. \
             Going on would skip messages. Use a new consumer group prefix (KAFKA_CONSUMER_GROUP_PREFIX), which starts positions anew (the rows' keys still keep them single), or a new table path"
        ));
    }
    match (committed, position) {
        (None, None) if *start > first => Verdict::MoveTable {
            to: *start,
            why: format!("a new group begins at {start} of {topic}[{id}], as EVENTHUB_AUTO_OFFSET_RESET says"),
        },
        (None, Some(ahead)) if ahead > first => Verdict::MoveTable {
            to: first,
            why: format!(
                "table {table} has rows up to offset {ahead} of {topic}[{id}], of which the group has no offset: the topic was recreated, or the group's offsets expired. It is read from its first record, {first}; rows that are there already are not added again"
            ),
        },
        (Some(committed), Some(ahead)) if ahead > committed && matches!(note, Some(CommitMetadata::TopicRecreated)) => {
            Verdict::MoveTable {
                to: committed,
                why: format!(
                    "{topic}[{id}] was recreated while it was read: table {table} had rows up to offset {ahead} of the topic before. It is read from {committed}; rows that are there already are not added again"
                ),
            }
        }
        (Some(committed), _) if position.unwrap_or(first) < committed => match note {
            Some(CommitMetadata::OperatorReset) => Verdict::Agree,
            Some(CommitMetadata::Tables(noted)) if noted.get(table).is_some_and(|noted| position >= *noted) => {
                Verdict::Agree
            }
            _ => go_back(table, partition, committed, position),
        },
        _ => Verdict::Agree,
    }
}

fn go_back(table: &str, partition: &Assigned, committed: i64, position: Option<i64>) -> Verdict {
    let Assigned {
        topic,
        partition: id,
        first,
        ..
    } = partition;
    let first = *first;
    let seen = position.map_or_else(
        || "has no position".to_owned(),
        |position| format!("has rows up to offset {position} only"),
    );
    let gone = position.map_or(0, |position| (first - position).max(0));
    let reconcile = match gone {
        0 => String::new(),
        gone => format!(
            ". The {gone} records from {} to {first} are no longer in the topic: find what is missing with `xact-pipeline reconcile`",
            first - gone
        ),
    };
    Verdict::GoBack {
        to: position.unwrap_or(first).max(first),
        why: format!(
            "table {table} {seen} of {topic}[{id}], which the group has read up to {committed}: the table was restored or replaced, or writing it was switched off. It is read again from there; rows that are there already are not added again{reconcile}"
        ),
        gone,
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
            note,
            start: committed.unwrap_or(100),
            first: 100,
            end: 1000,
        }
    }

    fn judged(
        committed: Option<i64>,
        note: Option<CommitMetadata>,
        position: Option<i64>,
    ) -> (&'static str, i64, String) {
        match judge("xact_events", &partition(committed, note), position) {
            Verdict::Agree => ("agree", -1, String::new()),
            Verdict::GoBack { to, why, .. } => ("go back", to, why),
            Verdict::MoveTable { to, why } => ("move table", to, why),
            Verdict::Refuse(why) => ("refuse", -1, why),
        }
    }

    #[test]
    fn a_table_at_or_ahead_of_the_group_is_the_normal_thing() {
        for position in [500, 501, 1000] {
            assert_eq!(judged(Some(500), None, Some(position)).0, "agree", "{position}");
        }
        assert_eq!(judged(None, None, None).0, "agree", "a first start");
        assert_eq!(
            judged(Some(100), None, None).0,
            "agree",
            "a first start, again before any record"
        );
        assert_eq!(
            judged(Some(40), None, None).0,
            "agree",
            "and after its first records expired"
        );
        assert_eq!(judged(None, None, Some(100)).0, "agree");
        assert_eq!(
            judged(Some(200), Some(CommitMetadata::OperatorReset), Some(900)).0,
            "agree",
            "reset to read again"
        );
    }

    #[test]
    fn a_table_ahead_of_the_topic_is_refused() {
        for committed in [None, Some(500), Some(1001)] {
            let (verdict, _, why) = judged(committed, None, Some(1001));
            assert_eq!(verdict, "refuse");
            assert!(
                why.contains("KAFKA_CONSUMER_GROUP_PREFIX") && why.contains("1001"),
                "{why}"
            );
        }
    }

    #[test]
    fn a_topic_that_was_recreated_is_read_from_its_first_record_even_if_it_has_outrun_the_table() {
        let (verdict, to, _) = judged(None, None, Some(900));
        assert_eq!((verdict, to), ("move table", 100));
        let (verdict, to, _) = judged(Some(120), Some(CommitMetadata::TopicRecreated), Some(900));
        assert_eq!((verdict, to), ("move table", 120));
    }

    #[test]
    fn a_table_behind_the_group_is_read_again_from_its_own_position() {
        let (verdict, to, why) = judged(Some(500), None, Some(300));
        assert_eq!((verdict, to), ("go back", 300));
        assert!(
            why.contains("300") && why.contains("500") && !why.contains("reconcile"),
            "{why}"
        );
        let (verdict, to, why) = judged(Some(500), None, Some(60));
        assert_eq!((verdict, to), ("go back", 100));
        assert!(why.contains("from 60 to 100 are no longer in the topic"), "{why}");
        let (verdict, to, _) = judged(Some(500), None, None);
        assert_eq!((verdict, to), ("go back", 100), "another table");
    }

    #[test]
    fn an_operator_may_skip_records() {
        for position in [Some(300), None] {
            assert_eq!(
                judged(Some(500), Some(CommitMetadata::OperatorReset), position).0,
                "agree"
            );
        }
    }

    fn noted(table: &str, position: Option<i64>) -> Option<CommitMetadata> {
        Some(CommitMetadata::Tables([(table.to_owned(), position)].into()))
    }

    #[test]
    fn a_position_that_lags_as_noted_is_the_normal_thing() {
        for (was, is) in [
            (Some(300), Some(300)),
            (Some(300), Some(400)),
            (None, None),
            (None, Some(300)),
        ] {
            let (verdict, ..) = judged(Some(500), noted("xact_events", was), is);
            assert_eq!(verdict, "agree", "{was:?} {is:?}");
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
            let (verdict, to, _) = judged(Some(500), note.clone(), is);
            assert_eq!((verdict, to), ("go back", from), "{note:?} {is:?}");
        }
    }

    #[test]
    fn records_that_a_restored_table_lacks_and_the_topic_no_longer_has_are_counted() {
        let noted = noted("xact_events", Some(300));
        for (position, expected) in [(40, 60), (99, 1), (100, 0), (299, 0)] {
            let Verdict::GoBack { gone, why, .. } =
                judge("xact_events", &partition(Some(500), noted.clone()), Some(position))
            else {
                panic!("{position}");
            };
            assert_eq!(gone, expected, "{position}");
            assert_eq!(why.contains("reconcile"), expected > 0, "{why}");
        }
    }

    #[test]
    fn a_new_group_that_begins_late_leaves_its_start_in_the_table() {
        let begins_late = Assigned {
            start: 1000,
            ..partition(None, None)
        };
        assert!(matches!(
            judge("t", &begins_late, None),
            Verdict::MoveTable { to: 1000, .. }
        ));
    }
}

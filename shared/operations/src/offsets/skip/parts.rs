//! What is between two offsets of a partition: records, and ranges that cannot be read.

use std::ops::ControlFlow;

use super::request::Until;
use crate::offsets::OffsetsError;
use xact_kafka::admin::TopicRecord;
use xact_kafka::admin::{Probed, RecordProbe, Stop};

/// Maximum number of records skipped at once: each becomes a dead letter.
pub(super) const MAX_RECORDS: usize = 1000;

/// A part of what is skipped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Part {
    /// A record that can be read.
    Record(Box<TopicRecord>),
    /// A range of offsets that cannot be read.
    Unreadable {
        /// The first offset.
        from: i64,
        /// One past the last.
        to: i64,
        /// Why it cannot be read.
        reason: String,
    },
}

/// The log of a partition, read record by record.
pub(super) trait PartitionLog {
    /// Reads the record at an offset, or the next one.
    fn read(&self, offset: i64) -> Result<Probed, OffsetsError>;

    /// Passes the records from an offset on to `visit`.
    fn read_from(
        &self,
        offset: i64,
        visit: &mut dyn FnMut(TopicRecord) -> ControlFlow<()>,
    ) -> Result<Stop, OffsetsError>;
}

/// A partition at a broker.
pub(super) struct PartitionAtBroker<'a> {
    pub(super) probe: &'a RecordProbe,
    pub(super) topic: &'a str,
    pub(super) partition: i32,
}

impl PartitionLog for PartitionAtBroker<'_> {
    fn read(&self, offset: i64) -> Result<Probed, OffsetsError> {
        Ok(self.probe.read(self.topic, self.partition, offset)?)
    }

    fn read_from(
        &self,
        offset: i64,
        visit: &mut dyn FnMut(TopicRecord) -> ControlFlow<()>,
    ) -> Result<Stop, OffsetsError> {
        Ok(self.probe.read_from(self.topic, self.partition, offset, visit)?)
    }
}

/// Returns the parts from `from` on, and the offset after them. `end` is one past the last offset of the partition. Blocks.
pub(super) fn between(
    log: &dyn PartitionLog,
    from: i64,
    until: Until,
    end: i64,
) -> Result<(Vec<Part>, i64), OffsetsError> {
    match until {
        Until::Next => match log.read(from)? {
            Probed::Record(record) => {
                let next = record.offset + 1;
                Ok((vec![Part::Record(Box::new(record))], next))
            }
            Probed::End => Err(OffsetsError::NothingToSkip),
            Probed::Unreadable(reason) => {
                let to = next_readable(log, from, end)?;
                Ok((vec![Part::Unreadable { from, to, reason }], to))
            }
        },
        Until::Offset(to) => Ok((parts(log, from, to)?, to)),
    }
}

fn parts(log: &dyn PartitionLog, from: i64, to: i64) -> Result<Vec<Part>, OffsetsError> {
    let mut parts = Vec::new();
    let mut next = from;
    while next < to {
        let mut is_too_many = false;
        let stop = log.read_from(next, &mut |record| {
            if record.offset >= to {
                return ControlFlow::Break(());
            }
            is_too_many = parts.len() >= MAX_RECORDS;
            parts.push(Part::Record(Box::new(record)));
            if is_too_many {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        })?;
        if is_too_many {
            return Err(OffsetsError::TooManyRecords { limit: MAX_RECORDS, to });
        }
        match stop {
            Stop::Enough | Stop::End => break,
            Stop::Unreadable { at, .. } if at >= to => break,
            Stop::Unreadable { at, reason } => {
                next = next_readable(log, at, to)?;
                parts.push(Part::Unreadable {
                    from: at,
                    to: next,
                    reason,
                });
            }
        }
    }
    Ok(parts)
}

/// Returns the first readable offset after `unreadable`, or `end`.
///
/// A batch is readable as a whole or not at all. So the search first doubles its steps until it finds an offset after the
/// batch, and then halves the interval until it finds the first one.
fn next_readable(log: &dyn PartitionLog, unreadable: i64, end: i64) -> Result<i64, OffsetsError> {
    let (mut bad, mut step) = (unreadable, 1);
    let mut good = loop {
        let offset = (unreadable + step).min(end);
        if offset == end || is_readable(log, offset)? {
            break offset;
        }
        bad = offset;
        step *= 2;
    };
    while good - bad > 1 {
        let middle = bad + (good - bad) / 2;
        if is_readable(log, middle)? {
            good = middle;
        } else {
            bad = middle;
        }
    }
    Ok(good)
}

fn is_readable(log: &dyn PartitionLog, offset: i64) -> Result<bool, OffsetsError> {
    Ok(!matches!(log.read(offset)?, Probed::Unreadable(_)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A partition of this many offsets, of which some cannot be read.
    struct Log {
        end: i64,
        bad: Vec<i64>,
        /// Offsets without a record.
        markers: Vec<i64>,
    }

    fn record(offset: i64) -> TopicRecord {
        TopicRecord {
            partition: 0,
            offset,
            timestamp: None,
            key: None,
            value: Some(Vec::new()),
            headers: Vec::new(),
        }
    }

    impl PartitionLog for Log {
        fn read(&self, offset: i64) -> Result<Probed, OffsetsError> {
            let mut found = None;
            let stop = self.read_from(offset, &mut |record| {
                found = Some(record);
                ControlFlow::Break(())
            })?;
            Ok(match (found, stop) {
                (Some(record), _) => Probed::Record(record),
                (None, Stop::Unreadable { reason, .. }) => Probed::Unreadable(reason),
                (None, _) => Probed::End,
            })
        }

        fn read_from(
            &self,
            from: i64,
            visit: &mut dyn FnMut(TopicRecord) -> ControlFlow<()>,
        ) -> Result<Stop, OffsetsError> {
            for at in from..self.end {
                if self.bad.contains(&at) {
                    let reason = "damaged".to_owned();
                    return Ok(Stop::Unreadable { at, reason });
                }
                if !self.markers.contains(&at) && visit(record(at)).is_break() {
                    return Ok(Stop::Enough);
                }
            }
            Ok(Stop::End)
        }
    }

    fn log(end: i64, bad: impl IntoIterator<Item = i64>) -> Log {
        Log {
            end,
            bad: bad.into_iter().collect(),
            markers: Vec::new(),
        }
    }

    fn bad(from: i64, to: i64) -> Part {
        let reason = "damaged".to_owned();
        Part::Unreadable { from, to, reason }
    }

    fn good(offset: i64) -> Part {
        Part::Record(Box::new(record(offset)))
    }

    #[test]
    fn an_unreadable_batch_is_skipped_to_the_next_record_whatever_its_size() {
        for size in 1..40 {
            let topic = log(60, 5..5 + size);
            assert_eq!(
                between(&topic, 5, Until::Next, 60).unwrap(),
                (vec![bad(5, 5 + size)], 5 + size),
                "{size}"
            );
            let topic = log(5 + size, 5..5 + size);
            assert_eq!(
                between(&topic, 5, Until::Next, 5 + size).unwrap().1,
                5 + size,
                "to the end"
            );
        }
    }

    #[test]
    fn a_readable_record_is_skipped_alone() {
        let mut topic = log(10, [7]);
        topic.markers = vec![3];
        assert_eq!(between(&topic, 2, Until::Next, 10).unwrap(), (vec![good(2)], 3));
        assert_eq!(between(&topic, 3, Until::Next, 10).unwrap(), (vec![good(4)], 5));
        assert!(between(&topic, 10, Until::Next, 10).is_err());
    }

    #[test]
    fn a_range_is_returned_part_by_part() {
        let mut topic = log(20, [4, 5, 9]);
        topic.markers = vec![7];
        let wanted = vec![good(3), bad(4, 6), good(6), good(8), bad(9, 10), good(10)];
        assert_eq!(between(&topic, 3, Until::Offset(11), 20).unwrap(), (wanted, 11));
        // It ends within what cannot be read.
        assert_eq!(
            between(&topic, 3, Until::Offset(5), 20).unwrap(),
            (vec![good(3), bad(4, 5)], 5)
        );
    }

    #[test]
    fn too_many_records_are_refused() {
        let most = i64::try_from(MAX_RECORDS).unwrap();
        let topic = log(2 * most, []);
        assert_eq!(
            between(&topic, 0, Until::Offset(most), 2 * most).unwrap().0.len(),
            MAX_RECORDS
        );
        assert!(between(&topic, 0, Until::Offset(most + 1), 2 * most).is_err());
    }
}

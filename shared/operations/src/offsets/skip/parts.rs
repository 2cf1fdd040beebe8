//! What is between two offsets of a partition: records, and ranges that cannot be read.

use std::ops::ControlFlow;

use crate::error::{OperationError, refuse};
use xact_kafka::admin::{AdminError, Probed, RecordProbe, Stop, TopicRecord};

/// Maximum number of records skipped at once: each becomes a dead letter.
const MAX_RECORDS: usize = 1000;

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
    fn read(&self, offset: i64) -> Result<Probed, AdminError>;

    /// Passes the records from an offset on to `visit`.
    fn read_from(&self, offset: i64, visit: &mut dyn FnMut(TopicRecord) -> ControlFlow<()>)
    -> Result<Stop, AdminError>;
}

/// A partition at a broker.
pub(super) struct PartitionAtBroker<'a> {
    pub(super) probe: &'a RecordProbe,
    pub(super) topic: &'a str,
    pub(super) partition: i32,
}

impl PartitionLog for PartitionAtBroker<'_> {
    fn read(&self, offset: i64) -> Result<Probed, AdminError> {
        self.probe.read(self.topic, self.partition, offset)
    }

    fn read_from(
        &self,
        offset: i64,
        visit: &mut dyn FnMut(TopicRecord) -> ControlFlow<()>,
    ) -> Result<Stop, AdminError> {
        self.probe.read_from(self.topic, self.partition, offset, visit)
    }
}

/// Returns the parts from `from` on, and the offset after them: `until`, or the next readable one. `end` is one past the last
/// offset of the partition. Blocks.
pub(super) fn between(
    log: &dyn PartitionLog,
    from: i64,
    until: Option<i64>,
    end: i64,
) -> Result<(Vec<Part>, i64), OperationError> {
    if let Some(to) = until {
        return Ok((parts(log, from, to)?, to));
    }
    match log.read(from)? {
        Probed::Record(record) => {
            let next = record.offset + 1;
            Ok((vec![Part::Record(Box::new(record))], next))
        }
        Probed::End => refuse("there is no record from this offset on: nothing to skip"),
        Probed::Unreadable(reason) => {
            let to = next_readable(log, from, end)?;
            Ok((vec![Part::Unreadable { from, to, reason }], to))
        }
    }
}

fn parts(log: &dyn PartitionLog, from: i64, to: i64) -> Result<Vec<Part>, OperationError> {
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
            return refuse(format!(
                "there are more than {MAX_RECORDS} records before offset {to}: skip fewer at once (--count, --to)"
            ));
        }
        match stop {
            Stop::Unreadable { at: from, reason } if from < to => {
                next = next_readable(log, from, to)?;
                parts.push(Part::Unreadable { from, to: next, reason });
            }
            _ => break,
        }
    }
    Ok(parts)
}

/// Returns the first readable offset after `unreadable`, or `end`.
///
/// A batch is readable as a whole or not at all. So the search first doubles its steps until it finds an offset after the
/// batch, and then halves the interval until it finds the first one.
fn next_readable(log: &dyn PartitionLog, unreadable: i64, end: i64) -> Result<i64, AdminError> {
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

fn is_readable(log: &dyn PartitionLog, offset: i64) -> Result<bool, AdminError> {
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
        fn read(&self, offset: i64) -> Result<Probed, AdminError> {
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
        ) -> Result<Stop, AdminError> {
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

    fn log(end: i64, bad: impl IntoIterator<Item = i64>, markers: &[i64]) -> Log {
        Log {
            end,
            bad: bad.into_iter().collect(),
            markers: markers.to_vec(),
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
            let next = 5 + size;
            // The batch is followed by records, or by nothing.
            for end in [60, next] {
                let found = between(&log(end, 5..next, &[]), 5, None, end).unwrap();
                assert_eq!(found, (vec![bad(5, next)], next), "{size}, {end}");
            }
        }
    }

    #[test]
    fn a_readable_record_is_skipped_alone() {
        let topic = log(10, [7], &[3]);
        assert_eq!(between(&topic, 2, None, 10).unwrap(), (vec![good(2)], 3));
        assert_eq!(between(&topic, 3, None, 10).unwrap(), (vec![good(4)], 5));
        assert!(between(&topic, 10, None, 10).is_err());
    }

    #[test]
    fn a_range_is_returned_part_by_part() {
        let topic = log(20, [4, 5, 9], &[7]);
        let wanted = vec![good(3), bad(4, 6), good(6), good(8), bad(9, 10), good(10)];
        assert_eq!(between(&topic, 3, Some(11), 20).unwrap(), (wanted, 11));
        // It ends within what cannot be read.
        let wanted = vec![good(3), bad(4, 5)];
        assert_eq!(between(&topic, 3, Some(5), 20).unwrap(), (wanted, 5));
    }

    #[test]
    fn too_many_records_are_refused() {
        let most = i64::try_from(MAX_RECORDS).unwrap();
        let topic = log(2 * most, [], &[]);
        let (parts, _) = between(&topic, 0, Some(most), 2 * most).unwrap();
        assert_eq!(parts.len(), MAX_RECORDS);
        assert!(between(&topic, 0, Some(most + 1), 2 * most).is_err());
    }
}

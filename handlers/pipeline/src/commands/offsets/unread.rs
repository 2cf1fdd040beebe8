//! What lies between two offsets of a partition: records, and stretches that cannot be read.

use std::ops::ControlFlow;

use super::Error;
use xact_kafka::admin::TopicRecord;
use xact_kafka::admin::{Probed, RecordProbe, Stop};

/// Most records that are skipped at once: each becomes a dead letter.
pub(super) const MOST_RECORDS: usize = 1000;

/// A part of what is skipped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Part {
    /// A record that can be read.
    Record(Box<TopicRecord>),
    /// Offsets of which nothing can be read.
    Unreadable {
        from: i64,
        /// One past the last.
        to: i64,
        reason: String,
    },
}

/// Where skipping ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Until {
    /// Behind the record at the position; if it cannot be read, at the next one that can.
    Next,
    /// At this offset.
    Offset(i64),
}

/// One partition, looked at record by record.
pub(super) trait Look {
    /// What is at an offset.
    fn read(&self, offset: i64) -> Result<Probed, Error>;

    /// Hands on the records from an offset.
    fn read_from(&self, offset: i64, visit: &mut dyn FnMut(TopicRecord) -> ControlFlow<()>) -> Result<Stop, Error>;
}

/// A partition at a broker.
pub(super) struct Partition<'a> {
    pub(super) probe: &'a RecordProbe,
    pub(super) topic: &'a str,
    pub(super) partition: i32,
}

impl Look for Partition<'_> {
    fn read(&self, offset: i64) -> Result<Probed, Error> {
        Ok(self.probe.read(self.topic, self.partition, offset)?)
    }

    fn read_from(&self, offset: i64, visit: &mut dyn FnMut(TopicRecord) -> ControlFlow<()>) -> Result<Stop, Error> {
        Ok(self.probe.read_from(self.topic, self.partition, offset, visit)?)
    }
}

/// What is skipped from `from` on, and the offset behind it. `end` is one past the partition's last offset. Blocks.
pub(super) fn between(look: &dyn Look, from: i64, until: Until, end: i64) -> Result<(Vec<Part>, i64), Error> {
    match until {
        Until::Next => match look.read(from)? {
            Probed::Record(record) => {
                let next = record.offset + 1;
                Ok((vec![Part::Record(Box::new(record))], next))
            }
            Probed::End => Err("there is no record from this offset on: nothing is to be skipped".into()),
            Probed::Unreadable(reason) => {
                let to = next_readable(look, from, end)?;
                Ok((vec![Part::Unreadable { from, to, reason }], to))
            }
        },
        Until::Offset(to) => Ok((parts(look, from, to)?, to)),
    }
}

fn parts(look: &dyn Look, from: i64, to: i64) -> Result<Vec<Part>, Error> {
    let mut parts = Vec::new();
    let mut next = from;
    while next < to {
        let mut is_too_many = false;
        let stop = look.read_from(next, &mut |record| {
            if record.offset >= to {
                return ControlFlow::Break(());
            }
            is_too_many = parts.len() >= MOST_RECORDS;
            parts.push(Part::Record(Box::new(record)));
            match is_too_many {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            }
        })?;
        if is_too_many {
            return Err(format!(
                "there are more than {MOST_RECORDS} records before offset {to}: skip fewer at once (--count, --to)"
            )
            .into());
        }
        match stop {
            Stop::Enough | Stop::End => break,
            Stop::Unreadable { at, .. } if at >= to => break,
            Stop::Unreadable { at, reason } => {
                next = next_readable(look, at, to)?;
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

/// The first offset behind `unreadable` at which something can be read, or `end`. A batch is readable as a whole or not at
/// all, so steps that double find an offset behind it, and halving finds the first one.
fn next_readable(look: &dyn Look, unreadable: i64, end: i64) -> Result<i64, Error> {
    let (mut bad, mut step) = (unreadable, 1);
    let mut good = loop {
        let offset = (unreadable + step).min(end);
        if offset == end || is_readable(look, offset)? {
            break offset;
        }
        bad = offset;
        step *= 2;
    };
    while good - bad > 1 {
        let middle = bad + (good - bad) / 2;
        match is_readable(look, middle)? {
            true => good = middle,
            false => bad = middle,
        }
    }
    Ok(good)
}

fn is_readable(look: &dyn Look, offset: i64) -> Result<bool, Error> {
    Ok(!matches!(look.read(offset)?, Probed::Unreadable(_)))
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

    impl Look for Log {
        fn read(&self, offset: i64) -> Result<Probed, Error> {
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

        fn read_from(&self, from: i64, visit: &mut dyn FnMut(TopicRecord) -> ControlFlow<()>) -> Result<Stop, Error> {
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
            let look = log(60, 5..5 + size);
            assert_eq!(
                between(&look, 5, Until::Next, 60).unwrap(),
                (vec![bad(5, 5 + size)], 5 + size),
                "{size}"
            );
            let look = log(5 + size, 5..5 + size);
            assert_eq!(
                between(&look, 5, Until::Next, 5 + size).unwrap().1,
                5 + size,
                "to the end"
            );
        }
    }

    #[test]
    fn a_readable_record_is_skipped_alone() {
        let mut look = log(10, [7]);
        look.markers = vec![3];
        assert_eq!(between(&look, 2, Until::Next, 10).unwrap(), (vec![good(2)], 3));
        assert_eq!(between(&look, 3, Until::Next, 10).unwrap(), (vec![good(4)], 5));
        assert!(between(&look, 10, Until::Next, 10).is_err());
    }

    #[test]
    fn a_stretch_is_told_part_by_part() {
        let mut look = log(20, [4, 5, 9]);
        look.markers = vec![7];
        let wanted = vec![good(3), bad(4, 6), good(6), good(8), bad(9, 10), good(10)];
        assert_eq!(between(&look, 3, Until::Offset(11), 20).unwrap(), (wanted, 11));
        // It ends within what cannot be read.
        assert_eq!(
            between(&look, 3, Until::Offset(5), 20).unwrap(),
            (vec![good(3), bad(4, 5)], 5)
        );
    }

    #[test]
    fn too_many_records_are_refused() {
        let most = i64::try_from(MOST_RECORDS).unwrap();
        let look = log(2 * most, []);
        assert_eq!(
            between(&look, 0, Until::Offset(most), 2 * most).unwrap().0.len(),
            MOST_RECORDS
        );
        assert!(between(&look, 0, Until::Offset(most + 1), 2 * most).is_err());
    }
}

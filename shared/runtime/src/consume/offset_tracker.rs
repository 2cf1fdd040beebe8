//! The offset that may be committed: the first that is not done. Records complete in any order.

use std::collections::VecDeque;

/// How a record's offset relates to the last one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tracked {
    /// It is after the last one: the record is to be handled.
    New,
    /// It is the last one: the record is already in flight or done.
    Duplicate,
    /// It is before the last one: the topic was recreated.
    WentBack,
}

/// The offsets of one partition, in the order of delivery.
///
/// Offsets may have gaps (compaction, transactions), so the order of delivery decides, not the numbers.
#[derive(Debug, Default)]
pub(crate) struct OffsetTracker {
    /// Offsets from the position on; true when done.
    window: VecDeque<(i64, bool)>,
    /// The offset to commit: everything before it is done. `None` until something is done.
    position: Option<i64>,
    last_offset: Option<i64>,
    /// The first offset that was requested.
    start: Option<i64>,
}

impl OffsetTracker {
    /// Adds the offset of a delivered record, if it is new.
    pub(crate) fn track(&mut self, offset: i64) -> Tracked {
        match self.last_offset {
            // librdkafka may deliver its last record twice around a pause.
            Some(last) if offset == last => return Tracked::Duplicate,
            Some(last) if offset < last => return Tracked::WentBack,
            _ => {}
        }
        self.last_offset = Some(offset);
        self.window.push_back((offset, false));
        Tracked::New
    }

    /// Marks a record as done: its results (messages, rows, retry or dead letter) are durable.
    pub(crate) fn done(&mut self, offset: i64) {
        let Ok(index) = self.window.binary_search_by_key(&offset, |&(offset, _)| offset) else {
            return;
        };
        self.window[index].1 = true;
        self.advance();
    }

    /// Sets the first offset that is read. Until then, or until a record is tracked, [`OffsetTracker::skip_to`] has no effect.
    pub(crate) fn set_start(&mut self, start: i64) {
        self.start = Some(start);
    }

    /// Marks everything before `next` as passed. All records before it have been delivered; the other offsets have no record
    /// for a consumer: transaction markers and records of aborted transactions.
    pub(crate) fn skip_to(&mut self, next: i64) {
        let known = self.last_offset.map_or(self.start, |last| Some(last + 1));
        if known.is_none_or(|known| next <= known) {
            return;
        }
        self.last_offset = Some(next - 1);
        self.window.push_back((next - 1, true));
        self.advance();
    }

    fn advance(&mut self) {
        while let Some(&(offset, true)) = self.window.front() {
            self.position = Some(offset + 1);
            self.window.pop_front();
        }
    }

    /// Returns the offset that may be committed: everything before it is done. `None` until the first offset is done.
    #[must_use]
    pub(crate) const fn position(&self) -> Option<i64> {
        self.position
    }

    /// Whether no offset was tracked or skipped yet.
    #[must_use]
    pub(crate) const fn is_unread(&self) -> bool {
        self.last_offset.is_none()
    }

    /// Returns the number of records from the first one that is not done up to the newest one.
    #[must_use]
    pub(crate) fn window(&self) -> usize {
        self.window.len()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_position_never_passes_a_slow_record() {
        let mut tracker = OffsetTracker::default();
        for offset in [10, 11, 12, 20] {
            assert_eq!(tracker.track(offset), Tracked::New);
        }
        tracker.done(11);
        tracker.done(20);
        assert_eq!(tracker.position(), None);
        tracker.done(10);
        assert_eq!(tracker.position(), Some(12));
        tracker.done(12);
        assert_eq!(tracker.position(), Some(21));
        assert_eq!(tracker.window(), 0);
    }

    #[test]
    fn duplicates_and_lower_offsets_are_detected() {
        let mut tracker = OffsetTracker::default();
        assert_eq!(tracker.track(5), Tracked::New);
        assert_eq!(tracker.track(5), Tracked::Duplicate);
        assert_eq!(tracker.track(4), Tracked::WentBack);
        tracker.done(5);
        tracker.done(5);
        assert_eq!(tracker.window(), 0);
        assert_eq!(tracker.track(5), Tracked::Duplicate);
    }

    #[test]
    fn offsets_without_records_are_done_with_the_records_before_them() {
        let mut tracker = OffsetTracker::default();
        tracker.skip_to(7);
        assert_eq!(tracker.position(), None, "the start is not set yet");
        tracker.set_start(5);
        tracker.skip_to(5);
        assert_eq!(tracker.position(), None, "nothing was skipped");
        tracker.skip_to(7);
        assert_eq!((tracker.position(), tracker.window()), (Some(7), 0), "two markers");
        assert_eq!(tracker.track(7), Tracked::New);
        for _ in 0..2 {
            tracker.skip_to(10);
            assert_eq!(
                (tracker.position(), tracker.window()),
                (Some(7), 2),
                "a record before them is in flight"
            );
        }
        tracker.skip_to(4);
        assert_eq!(tracker.track(10), Tracked::New);
        tracker.done(7);
        assert_eq!(tracker.position(), Some(10));
        tracker.done(10);
        assert_eq!((tracker.position(), tracker.window()), (Some(11), 0));
        assert_eq!(tracker.track(8), Tracked::WentBack, "it was skipped");
    }

    proptest! {
        #[test]
        fn everything_below_the_position_is_done(order in Just((0..50_i64).collect::<Vec<_>>()).prop_shuffle(), steps in 0..50_usize) {
            let mut tracker = OffsetTracker::default();
            for offset in 0..50 {
                tracker.track(offset);
            }
            let done = &order[..steps];
            for &offset in done {
                tracker.done(offset);
            }
            let expected = (0..50).find(|offset| !done.contains(offset)).unwrap_or(50);
            prop_assert_eq!(tracker.position().unwrap_or(0), expected);
            prop_assert_eq!(tracker.window() as i64, 50 - expected);
        }
    }
}

//! Which offset may be committed: the first that is not done, however the work behind it is ordered.

use std::collections::VecDeque;

/// What a record's offset says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Take {
    /// It is the next one: to be worked on.
    New,
    /// It is the one that was taken last: already worked on.
    Again,
    /// It is before that: the topic is not the one that it was.
    WentBack,
}

/// Offsets of one partition that were taken, in the order in which they came.
///
/// Offsets may have gaps (compaction, transactions), so it is the order of delivery that counts, not the numbers.
#[derive(Debug, Default)]
pub struct OffsetTracker {
    /// Taken and not yet passed by the position; true when done.
    window: VecDeque<(i64, bool)>,
    /// One past the last offset of the contiguous done part.
    position: Option<i64>,
    last_taken: Option<i64>,
    /// Where reading began.
    start: Option<i64>,
}

impl OffsetTracker {
    /// Notes that a record was taken, unless it was before.
    pub fn take(&mut self, offset: i64) -> Take {
        match self.last_taken {
            // The client may hand out its last record twice, when a pause overtakes its bookkeeping.
            Some(last) if offset == last => return Take::Again,
            Some(last) if offset < last => return Take::WentBack,
            _ => {}
        }
        self.last_taken = Some(offset);
        self.window.push_back((offset, false));
        Take::New
    }

    /// Notes that a record is done: produced on, written, retried or dead-lettered, and acknowledged.
    pub fn done(&mut self, offset: i64) {
        let Ok(index) = self.window.binary_search_by_key(&offset, |&(offset, _)| offset) else {
            return;
        };
        self.window[index].1 = true;
        self.advance();
    }

    /// Notes where reading begins: [`OffsetTracker::pass`] has no effect before.
    pub fn begin(&mut self, start: i64) {
        self.start = Some(start);
    }

    /// Notes that every record before `next` was taken. Offsets behind the last one hold no record for a consumer: commit
    /// and abort markers of transactions, and what was aborted. They count as done when all before them is.
    pub fn pass(&mut self, next: i64) {
        let known = self.last_taken.map_or(self.start, |last| Some(last + 1));
        if known.is_none_or(|known| next <= known) {
            return;
        }
        self.last_taken = Some(next - 1);
        self.window.push_back((next - 1, true));
        self.advance();
    }

    fn advance(&mut self) {
        while let Some(&(offset, true)) = self.window.front() {
            self.position = Some(offset + 1);
            self.window.pop_front();
        }
    }

    /// What may be committed: all before it is done. `None` until the first record is done.
    #[must_use]
    pub const fn position(&self) -> Option<i64> {
        self.position
    }

    /// Whether any record was taken, or passed.
    #[must_use]
    pub const fn is_new(&self) -> bool {
        self.last_taken.is_none()
    }

    /// Records that a crash now would deliver again.
    #[must_use]
    pub fn window(&self) -> usize {
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
            assert_eq!(tracker.take(offset), Take::New);
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
    fn offsets_that_go_back_are_noticed() {
        let mut tracker = OffsetTracker::default();
        assert_eq!(tracker.take(5), Take::New);
        assert_eq!(tracker.take(5), Take::Again);
        assert_eq!(tracker.take(4), Take::WentBack);
        tracker.done(5);
        tracker.done(5);
        assert_eq!(tracker.window(), 0);
        assert_eq!(tracker.take(5), Take::Again);
    }

    #[test]
    fn offsets_without_records_are_done_once_all_before_them_is() {
        let mut tracker = OffsetTracker::default();
        tracker.pass(7);
        assert_eq!(tracker.position(), None, "nobody knows yet where reading begins");
        tracker.begin(5);
        tracker.pass(5);
        assert_eq!(tracker.position(), None, "nothing was passed");
        tracker.pass(7);
        assert_eq!((tracker.position(), tracker.window()), (Some(7), 0), "two markers");
        assert_eq!(tracker.take(7), Take::New);
        for _ in 0..2 {
            tracker.pass(10);
            assert_eq!(
                (tracker.position(), tracker.window()),
                (Some(7), 2),
                "a record in front runs"
            );
        }
        tracker.pass(4);
        assert_eq!(tracker.take(10), Take::New);
        tracker.done(7);
        assert_eq!(tracker.position(), Some(10));
        tracker.done(10);
        assert_eq!((tracker.position(), tracker.window()), (Some(11), 0));
        assert_eq!(tracker.take(8), Take::WentBack, "it was passed as no record");
    }

    proptest! {
        #[test]
        fn everything_below_the_position_is_done(order in Just((0..50_i64).collect::<Vec<_>>()).prop_shuffle(), steps in 0..50_usize) {
            let mut tracker = OffsetTracker::default();
            for offset in 0..50 {
                tracker.take(offset);
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

//! Which dates of the tables are searched.

use std::collections::BTreeSet;

use jiff::civil::Date;
use jiff::{Timestamp, ToSpan};

use xact_contracts::time;
use xact_table_sink::WINDOW_DAYS;

/// Which dates of a table are searched.
#[derive(Debug, Clone, Copy)]
pub(super) enum Dates {
    /// The newest ones that the table has, this number.
    Newest(usize),
    /// Those from this date on.
    Since(Date),
    /// This one.
    Only(Date),
}

impl Dates {
    /// Returns the chosen dates of those that a table has, newest first.
    pub(super) fn of<'a>(self, dates: impl DoubleEndedIterator<Item = &'a Date>) -> Vec<Date> {
        let newest_first = dates.rev().copied();
        match self {
            Self::Newest(count) => newest_first.take(count).collect(),
            Self::Since(since) => newest_first.filter(|date| *date >= since).collect(),
            Self::Only(only) => newest_first.filter(|date| *date == only).collect(),
        }
    }
}

/// Returns the dates on which the row of an event may be: that of its timestamp, or, if it has none, of a record of it, or an
/// earlier one.
pub(super) fn dates_of(at: Timestamp, is_undated: bool) -> BTreeSet<Date> {
    let date = time::utc_date(at);
    if !is_undated {
        return BTreeSet::from([date]);
    }
    let first = date.saturating_sub(WINDOW_DAYS.days());
    first.series(1.day()).take_while(|day| *day <= date).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_dates_come_first() {
        let day = |day| Date::constant(2025, 1, day);
        let dates = BTreeSet::from([day(1), day(3), day(9)]);
        for (chosen, expected) in [
            (Dates::Newest(2), vec![day(9), day(3)]),
            (Dates::Since(day(2)), vec![day(9), day(3)]),
            (Dates::Only(day(3)), vec![day(3)]),
            (Dates::Only(day(4)), vec![]),
        ] {
            assert_eq!(chosen.of(dates.iter()), expected, "{chosen:?}");
        }
    }

    #[test]
    fn an_event_without_a_timestamp_may_have_the_date_of_an_earlier_record() {
        let at = "2025-01-31T12:00:00Z".parse().unwrap();
        assert_eq!(dates_of(at, false).len(), 1);
        assert_eq!(dates_of(at, true).len(), 32);
    }
}

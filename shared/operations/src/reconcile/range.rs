//! The time range of a reconciliation.

use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use crate::error::{OperationError, refuse};
use xact_contracts::time;

/// A time range, without its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct TimeRange {
    #[serde(with = "time")]
    from: Timestamp,
    #[serde(with = "time")]
    to: Timestamp,
}

impl TimeRange {
    /// Returns the range from one time up to, but without, another.
    ///
    /// # Errors
    /// When the range is empty.
    pub fn new(from: Timestamp, to: Timestamp) -> Result<Self, OperationError> {
        if from < to {
            Ok(Self { from, to })
        } else {
            refuse("--from must be before --to")
        }
    }

    pub(super) fn contains(self, at: Timestamp) -> bool {
        (self.from..self.to).contains(&at)
    }

    pub(super) fn touches(self, date: Date) -> bool {
        (self.first_date()..=self.last_date()).contains(&date)
    }

    pub(super) fn first_date(self) -> Date {
        time::utc_date(self.from)
    }

    pub(super) fn last_date(self) -> Date {
        time::utc_date(self.to - SignedDuration::from_nanos(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_touches_the_dates_of_its_events() {
        let touched = |from: &str, to: &str| {
            let range = TimeRange::new(from.parse().unwrap(), to.parse().unwrap()).unwrap();
            let dates = Date::constant(2024, 12, 29).series(jiff::ToSpan::day(1)).take(5);
            let touched = dates.filter(|date| range.touches(*date));
            touched.map(|date| date.to_string()).collect::<Vec<_>>()
        };
        let midnight = "2025-01-01T00:00:00Z";
        assert_eq!(touched("2024-12-31T00:00:00Z", midnight), ["2024-12-31"]);
        let both = touched("2024-12-31T23:59:59Z", "2025-01-01T00:00:01Z");
        assert_eq!(both, ["2024-12-31", "2025-01-01"]);
        let at = Timestamp::UNIX_EPOCH;
        assert!(TimeRange::new(at, at).is_err());
    }
}

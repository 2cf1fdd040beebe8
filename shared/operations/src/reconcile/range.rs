//! The time range of a reconciliation.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan};
use serde::Serialize;

use crate::error::{OperationError, refuse};
use xact_contracts::time;

/// The highest number of dates that are recorded at once: each is a data file.
const MAX_DATES: usize = 366;

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

    /// Returns one UTC date.
    ///
    /// # Errors
    /// When the date is the last one that can be expressed.
    pub fn of_date(date: Date) -> Result<Self, OperationError> {
        let begins = |date: Date| TimeZone::UTC.to_timestamp(date.at(0, 0, 0, 0));
        let range = date.tomorrow().and_then(|next| Ok((begins(date)?, begins(next)?)));
        match range {
            Ok((from, to)) => Self::new(from, to),
            Err(error) => refuse(format!("{date}: {error}")),
        }
    }

    /// Returns the UTC date before that of a time.
    #[must_use]
    pub fn yesterday(now: Timestamp) -> Self {
        let day = SignedDuration::from_hours(24);
        let to = midnight(now);
        Self { from: to - day, to }
    }

    /// Returns the dates of the range.
    ///
    /// # Errors
    /// When the range is not of whole UTC dates, or of more than [`MAX_DATES`].
    pub(super) fn whole_dates(self) -> Result<Vec<Date>, OperationError> {
        if midnight(self.from) != self.from || midnight(self.to) != self.to {
            return refuse("--record is for whole UTC dates: give --from and --to without a time, or --yesterday");
        }
        let dates = self.first_date().series(1.day());
        let dates: Vec<Date> = dates.take_while(|date| *date <= self.last_date()).collect();
        if dates.len() > MAX_DATES {
            return refuse(format!("--record is for at most {MAX_DATES} dates: divide the range"));
        }
        Ok(dates)
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

fn midnight(at: Timestamp) -> Timestamp {
    let day = 24 * 60 * 60;
    Timestamp::from_second(at.as_second().div_euclid(day) * day).unwrap_or(Timestamp::MIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_touches_the_dates_of_its_events() {
        let touched = |from: &str, to: &str| {
            let range = TimeRange::new(from.parse().unwrap(), to.parse().unwrap()).unwrap();
            let dates = Date::constant(2024, 12, 29).series(1.day()).take(5);
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
    #[test]
    fn only_whole_dates_are_recorded() {
        let recorded = |from: &str, to: &str| {
            let range = TimeRange::new(from.parse().unwrap(), to.parse().unwrap()).unwrap();
            range
                .whole_dates()
                .map(|dates| dates.len())
                .map_err(|error| error.to_string())
        };
        let midnight = "2025-01-01T00:00:00Z";
        assert_eq!(recorded("2024-12-30T00:00:00Z", midnight), Ok(2));
        assert_eq!(recorded("2024-01-01T00:00:00Z", midnight), Ok(366));
        for (from, to, said) in [
            ("2024-12-31T00:00:01Z", midnight, "whole UTC dates"),
            (midnight, "2025-01-01T23:59:59Z", "whole UTC dates"),
            ("2023-12-31T00:00:00Z", midnight, "at most 366 dates"),
        ] {
            assert!(recorded(from, to).unwrap_err().contains(said), "{from} to {to}");
        }
        for now in [midnight, "2025-01-01T00:00:00.000001Z", "2025-01-01T23:59:59.999Z"] {
            let yesterday = TimeRange::yesterday(now.parse().unwrap());
            assert_eq!(
                yesterday.whole_dates().unwrap(),
                [Date::constant(2024, 12, 31)],
                "{now}"
            );
            assert_eq!(yesterday, TimeRange::of_date(Date::constant(2024, 12, 31)).unwrap());
        }
        assert!(TimeRange::of_date(Date::MAX).is_err());
    }
}

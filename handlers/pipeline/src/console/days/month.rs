//! A month of the calendar, in weeks from Monday to Sunday.

use std::fmt;

use jiff::ToSpan;
use jiff::civil::Date;

/// A month.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Month {
    pub(super) first: Date,
    pub(super) last: Date,
}

impl Month {
    pub(super) fn of(date: Date) -> Self {
        Self {
            first: date.first_of_month(),
            last: date.last_of_month(),
        }
    }

    /// Parses a month such as `2026-11`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let month = Self::of(parse_date(&format!("{text}-01"))?);
        Some(month)
    }

    pub(super) fn previous(self) -> Option<Self> {
        self.first.yesterday().ok().map(Self::of)
    }

    pub(super) fn next(self) -> Option<Self> {
        self.last.tomorrow().ok().map(Self::of)
    }

    /// Returns the weeks; days of other months are left out.
    pub(super) fn weeks(self) -> Vec<[Option<Date>; 7]> {
        let mut weeks = Vec::new();
        let mut week = [None; 7];
        for date in self.first.series(1.day()).take_while(|date| *date <= self.last) {
            let day = usize::try_from(date.weekday().to_monday_zero_offset()).unwrap_or_default();
            week[day] = Some(date);
            if day == 6 {
                weeks.push(std::mem::take(&mut week));
            }
        }
        if week != [None; 7] {
            weeks.push(week);
        }
        weeks
    }
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.first.strftime("%Y-%m"))
    }
}

/// Parses a date such as `2026-11-29`, and no other form.
pub(super) fn parse_date(text: &str) -> Option<Date> {
    let date: Date = text.parse().ok()?;
    (date.to_string() == text).then_some(date)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_months_and_dates_in_their_form_are_accepted() {
        for (text, expected) in [
            ("2026-11", Some("2026-11")),
            ("2024-02", Some("2024-02")),
            ("9999-12", Some("9999-12")),
            ("2026-13", None),
            ("2026-1", None),
            ("202611", None),
            ("2026-11-01", None),
            ("2026-11-29T00", None),
            ("", None),
            ("<b>", None),
        ] {
            let month = Month::parse(text).map(|month| month.to_string());
            assert_eq!(month.as_deref(), expected, "{text}");
        }
        for text in [
            "20261129",
            "2026-11-29T00:00:00",
            "2026-02-29",
            "2026-11-29[UTC]",
            "today",
        ] {
            assert_eq!(parse_date(text), None, "{text}");
        }
        assert_eq!(parse_date("2026-11-29"), Some(Date::constant(2026, 11, 29)));
    }

    #[test]
    fn weeks_begin_on_monday() {
        let month = Month::parse("2026-11").unwrap();
        let weeks = month.weeks();
        // The first is a Sunday, the thirtieth a Monday.
        assert_eq!(weeks.len(), 6);
        assert_eq!(weeks[0][6], Some(Date::constant(2026, 11, 1)));
        assert_eq!(weeks[0][..6], [None; 6]);
        assert_eq!(weeks[5][0], Some(Date::constant(2026, 11, 30)));
        assert_eq!(weeks.iter().flatten().flatten().count(), 30);
        // A month of exactly four weeks.
        assert_eq!(Month::parse("2027-02").unwrap().weeks().len(), 4);
        assert_eq!(month.previous().unwrap().to_string(), "2026-10");
        assert_eq!(Month::parse("2026-12").unwrap().next().unwrap().to_string(), "2027-01");
        assert_eq!(Month::parse("9999-12").unwrap().next(), None);
    }
}

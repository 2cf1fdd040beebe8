//! The calendar of a month: a table with a column for each weekday, on a phone a list.

use std::collections::BTreeMap;

use indicatif::HumanCount;
use jiff::civil::Date;
use maud::{Markup, html};

use super::month::Month;
use crate::console::layout::scroll;
use xact_contracts::time;
use xact_lake::ReconciliationRow;

const WEEKDAYS: [&str; 7] = [
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
    "Sunday",
];

/// Returns the state of a recorded date: for the style, and in words.
pub(super) fn state(row: &ReconciliationRow) -> (&'static str, &'static str) {
    if !row.well {
        return ("failed", "does not balance");
    }
    if time::utc_date(row.checked_at) <= row.event_date {
        // Events of the date may have arrived since.
        return ("held", "balanced before its end");
    }
    if row.waiting > 0 || row.events_waiting > 0 {
        return ("held", "something waits");
    }
    ("ok", "balances")
}

/// Returns the counts of a row with their names. What need not be shown when it is 0 comes last.
pub(super) fn counts(row: &ReconciliationRow) -> Vec<(&'static str, i64)> {
    let always = [("events", row.events), ("attachments", row.attachments)];
    let unless_zero = [
        ("completed", row.completed),
        ("failed", row.failed),
        ("waiting", row.waiting + row.events_waiting),
        ("missing", row.missing),
        ("duplicate", row.duplicate),
        ("unlisted", row.unlisted),
        ("unreadable", row.unreadable),
    ];
    let shown = unless_zero.into_iter().filter(|(_, count)| *count > 0);
    always.into_iter().chain(shown).collect()
}

/// Returns the calendar of a month with the newest check of each date.
pub(super) fn calendar(month: &Month, newest: &BTreeMap<Date, &ReconciliationRow>, today: Date) -> Markup {
    html! {
        (scroll("Calendar", &html! { table.calendar {
            caption { (total(newest)) }
            thead { tr { @for weekday in WEEKDAYS { th scope="col" { (weekday) } } } }
            tbody {
                @for week in month.weeks() {
                    tr {
                        @for (date, weekday) in week.into_iter().zip(WEEKDAYS) {
                            @match date {
                                Some(date) => td aria-current=[(date == today).then_some("date")] {
                                    (day(date, weekday, newest.get(&date).copied(), today))
                                },
                                None => td.other {},
                            }
                        }
                    }
                }
            }
        } }))
    }
}

fn day(date: Date, weekday: &str, row: Option<&ReconciliationRow>, today: Date) -> Markup {
    html! {
        a href={ "/days/" (date) } { time datetime=(date) { span.weekday { (weekday) " " } (date.day()) } }
        " "
        @match row {
            Some(row) => {
                @let (state, words) = state(row);
                span.state data-state=(state) { (words) }
                ul {
                    @for (name, count) in counts(row) {
                        li data-count=[matches!(name, "missing" | "duplicate" | "unlisted").then_some("bad")] {
                            (number(count)) " " (name)
                        }
                    }
                }
            }
            None if date < today => span.state data-state="unknown" { "no record" },
            None => {}
        }
    }
}

fn total(newest: &BTreeMap<Date, &ReconciliationRow>) -> String {
    if newest.is_empty() {
        return "No date of this month is recorded.".to_owned();
    }
    let mut sums: Vec<(&str, i64)> = Vec::new();
    for (name, count) in newest.values().flat_map(|row| counts(row)) {
        match sums.iter_mut().find(|(known, _)| *known == name) {
            Some((_, sum)) => *sum = sum.saturating_add(count),
            None => sums.push((name, count)),
        }
    }
    let sums: Vec<String> = sums
        .into_iter()
        .map(|(name, sum)| format!("{} {name}", number(sum)))
        .collect();
    format!("Of {} recorded dates: {}.", newest.len(), sums.join(", "))
}

/// Returns a count of a row, which is never negative.
pub(super) fn number(count: i64) -> String {
    HumanCount(u64::try_from(count).unwrap_or_default()).to_string()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::console::days) fn row(date: Date, checked_at: &str) -> ReconciliationRow {
        ReconciliationRow {
            reconciliation_id: String::new(),
            event_date: date,
            checked_at: checked_at.parse().unwrap(),
            events: 1200,
            events_waiting: 0,
            events_by_table_alone: 0,
            attachments: 5,
            completed: 5,
            failed: 0,
            waiting: 0,
            missing: 0,
            duplicate: 0,
            unreadable: 0,
            unlisted: 0,
            well: true,
            cu_seconds: None,
            program_version: "0.2.0".to_owned(),
        }
    }

    #[test]
    fn a_date_has_the_state_of_its_newest_check() {
        let date = Date::constant(2026, 11, 29);
        let good = row(date, "2026-11-30T04:30:00Z");
        let early = row(date, "2026-11-29T23:59:59Z");
        let cases = [
            (good.clone(), "balances"),
            (early.clone(), "balanced before its end"),
            (
                ReconciliationRow {
                    waiting: 1,
                    ..good.clone()
                },
                "something waits",
            ),
            (
                ReconciliationRow {
                    events_waiting: 1,
                    ..good
                },
                "something waits",
            ),
            (ReconciliationRow { well: false, ..early }, "does not balance"),
        ];
        for (row, words) in cases {
            assert_eq!(state(&row).1, words, "{row:?}");
        }
    }

    #[test]
    fn a_month_shows_every_date_once_with_its_counts() {
        let date = Date::constant(2026, 11, 29);
        let bad = ReconciliationRow {
            missing: 2,
            well: false,
            ..row(date, "2026-11-30T04:30:00Z")
        };
        let other = row(date.yesterday().unwrap(), "2026-11-30T04:30:00Z");
        let newest = BTreeMap::from([(date, &bad), (other.event_date, &other)]);
        let month = Month::parse("2026-11").unwrap();
        let shown = calendar(&month, &newest, Date::constant(2026, 11, 30)).into_string();
        assert_eq!(shown.matches("href=\"/days/2026-11-").count(), 30);
        assert_eq!(shown.matches("no record").count(), 27, "today has none yet: {shown}");
        assert!(
            shown.contains("Of 2 recorded dates: 2,400 events, 10 attachments, 10 completed, 2 missing."),
            "{shown}"
        );
        assert!(shown.contains("<li data-count=\"bad\">2 missing</li>"), "{shown}");
        assert_eq!(shown.matches("aria-current=\"date\"").count(), 1);
    }
}

//! What the tables and the dead letters say, and what the page costs.

use std::time::Duration;

use indicatif::{HumanBytes, HumanCount};
use jiff::SignedDuration;
use maud::{Markup, html};

use super::positions::Flow;
use super::watch::{DEAD_LETTERS_MAX_AGE, INTERVAL, Latest, Look, TABLES_MAX_AGE};
use crate::console::layout::{duration, problem, time};
use xact_contracts::onelake_billing::{Charge, cu_seconds};
use xact_contracts::topology::Stage;
use xact_operations::today::{Latency, MAX_FILES, TableToday, TodayAnswer};

const HOUR: SignedDuration = SignedDuration::from_hours(1);

/// Returns the numbers.
pub(super) fn facts(look: &Look) -> Markup {
    let flow = look.flow.as_ref().ok();
    let due = flow.and_then(|flow| flow.topics.iter().filter_map(|topic| topic.next_due).min());
    html! {
        dl.facts {
            dt { "Dead letters" }
            dd { a #dead-letters href="/dead-letters" { (dead_letters(&look.waiting)) } (new_dead_letters(flow)) }
            dt { "Next due retry" }
            dd { @match due {
                Some(due) if due > look.at => { (time(due)) ", in " (duration(due.duration_since(look.at).as_secs())) }
                Some(due) => { "due since " (time(due)) }
                None => "none waits"
            } }
            @match look.today.as_deref().map(|answer| &answer.result) {
                None => { dt { "Today" } dd { "reading the tables …" } }
                Some(Err(reason)) => { dt { "Today" } dd { (problem(reason)) } }
                Some(Ok(today)) => (of_tables(today))
            }
        }
    }
}

fn dead_letters(waiting: &Latest<u64>) -> String {
    match waiting.as_deref().map(|answer| &answer.result) {
        None => "reading them …".to_owned(),
        Some(Err(_)) => "they cannot be read".to_owned(),
        Some(Ok(0)) => "none waits".to_owned(),
        Some(Ok(waiting)) => format!("{} wait", HumanCount(*waiting)),
    }
}

/// Returns how many came since the first reading.
fn new_dead_letters(flow: Option<&Flow>) -> String {
    let topic = flow.and_then(|flow| flow.topics.iter().find(|topic| topic.stage == Stage::Dlq));
    let since = topic.and_then(|topic| Some((topic.written_in_all, topic.history.first()?.at)));
    since.map_or_else(String::new, |(written, since)| {
        format!(", {} records since {}", HumanCount(written), time(since))
    })
}

fn of_tables(today: &TodayAnswer) -> Markup {
    let TodayAnswer {
        events, attachments, ..
    } = today;
    html! {
        dt { "Events, " (today.date) }
        dd { (count(events.rows)) ", to their row " (latency(events)) }
        dt { "Files, " (today.date) }
        dd { (count(attachments.rows)) ", " (HumanBytes(today.bytes)) (read_part(attachments)) ", from event to row " (latency(attachments)) }
        dt { "Failed, " (today.date) }
        dd { (count(today.failed)) " attachments" }
        dt { "1,000 attachments" }
        dd { @match today.cu_seconds_of_thousand {
            Some(cost) => { (format!("{cost:.0}")) " CU seconds, estimated by the published prices from " (count(attachments.rows)) " files and "
                (count(today.commits)) " commits of today: those of the events with their date. After small files of today were rewritten, it is too low" },
            None => "no attachments of today yet"
        } }
    }
}

fn count(count: usize) -> String {
    HumanCount(count as u64).to_string()
}

fn latency(table: &TableToday) -> String {
    let Some(Latency { p50, p95 }) = table.latency else {
        return "–".to_owned();
    };
    format!("{} (p50), {} (p95){}", short(p50), short(p95), read_part(table))
}

/// Returns what a number is of, unless it is of all.
fn read_part(table: &TableToday) -> String {
    if table.files_read == table.files {
        return String::new();
    }
    format!(
        " (in the newest {} of {} table files)",
        count(table.files_read),
        count(table.files)
    )
}

fn short(time: Duration) -> String {
    if time < Duration::from_secs(60) {
        return format!("{:.1} s", time.as_secs_f64());
    }
    duration(i64::try_from(time.as_secs()).unwrap_or(i64::MAX))
}

/// Returns what it costs to look.
pub(super) fn cost(look: &Look) -> Markup {
    let broker = look.flow.as_ref().ok().map(|flow| flow.requests);
    html! {
        p.cost {
            "While this page is open, and not otherwise: the broker is asked every " (INTERVAL.as_secs()) " s"
            @if let Some(requests) = broker {
                ", the last time with " (requests) " requests, " (count(per_hour(requests, INTERVAL))) " an hour at this rate"
            }
            "; dead letters that are new are read every " (DEAD_LETTERS_MAX_AGE.as_secs()) " s. "
            (onelake(&look.today))
            " Rates are of the last half minute; charts begin with the first reading. Several pages share each reading."
        }
    }
}

fn onelake(today: &Latest<TodayAnswer>) -> String {
    let every = TABLES_MAX_AGE.as_secs();
    let Some(answer) = today else {
        return format!("The tables are read every {every} s.");
    };
    let at = time(answer.at);
    let Ok(today) = &answer.result else {
        return format!("The tables are read every {every} s, the last time at {at}.");
    };
    match today.cost {
        None => format!("The tables are local, and read every {every} s, the last time at {at}."),
        Some(charge) => {
            let Charge {
                requests,
                micro_cu_seconds,
                ..
            } = charge;
            let readings = HOUR.as_secs() / every;
            let readings_u64 = u64::try_from(readings).unwrap_or(1);
            format!(
                "The tables are read every {every} s, at most {MAX_FILES} data files of each: at {at} OneLake billed {requests} requests, \
                 {:.4} CU seconds; as many each time would be {} requests and {:.1} CU seconds an hour.",
                cu_seconds(micro_cu_seconds),
                HumanCount(requests * readings_u64),
                cu_seconds(micro_cu_seconds * readings_u64)
            )
        }
    }
}

fn per_hour(requests: usize, interval: Duration) -> usize {
    requests * 3_600 / usize::try_from(interval.as_secs().max(1)).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use jiff::Timestamp;

    use super::super::cached::Answer;
    use super::*;

    fn today(cost: Option<Charge>) -> TodayAnswer {
        TodayAnswer {
            date: jiff::civil::date(2025, 1, 1),
            events: TableToday {
                rows: 7,
                files: 1,
                files_read: 1,
                latency: Some(Latency {
                    p50: Duration::from_millis(1_250),
                    p95: Duration::from_secs(90),
                }),
            },
            attachments: TableToday {
                rows: 1_234,
                files: 40,
                files_read: 30,
                latency: None,
            },
            failed: 2,
            bytes: 3 << 20,
            cu_seconds_of_thousand: Some(178.86),
            commits: 41,
            cost,
        }
    }

    fn answer<T>(result: Result<T, String>) -> Latest<T> {
        let at = Timestamp::UNIX_EPOCH;
        Some(Arc::new(Answer { at, result }))
    }

    #[test]
    fn each_number_says_what_it_is_of() {
        let shown = of_tables(&today(None)).into_string();
        for part in [
            "7, to their row 1.2 s (p50), 1m 30s (p95)</dd>",
            "1,234, 3.00 MiB (in the newest 30 of 40 table files)",
            "179 CU seconds, estimated by the published prices from 1,234 files and 41 commits",
        ] {
            assert!(shown.contains(part), "{part}: {shown}");
        }
    }

    #[test]
    fn the_cost_is_that_of_the_last_reading() {
        let charge = Charge {
            requests: 6,
            units: 6,
            micro_cu_seconds: 62_400,
        };
        let shown = onelake(&answer(Ok(today(Some(charge)))));
        for part in [
            "billed 6 requests, 0.0624 CU seconds",
            "360 requests and 3.7 CU seconds an hour",
        ] {
            assert!(shown.contains(part), "{shown}");
        }
        assert!(onelake(&answer(Ok(today(None)))).contains("are local"));
        assert_eq!(per_hour(21, INTERVAL), 15_120);
    }

    #[test]
    fn what_is_not_known_is_not_a_number() {
        for (waiting, expected) in [
            (None, "reading"),
            (answer(Err("no broker".to_owned())), "cannot"),
            (answer(Ok(0)), "none waits"),
            (answer(Ok(1_234)), "1,234 wait"),
        ] {
            assert!(dead_letters(&waiting).contains(expected), "{expected}");
        }
        assert_eq!(new_dead_letters(None), "");
    }
}

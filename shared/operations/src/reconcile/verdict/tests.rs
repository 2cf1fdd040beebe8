//! Tests of the verdict on a date.

use jiff::Timestamp;

use super::super::expected::Finished;
use super::*;
use xact_contracts::ids;
use xact_contracts::messages::{Event, Message};
use xact_contracts::url_paths::UrlPaths;

const A: &str = "https://h/a.pdf?sig=1";
const B: &str = "https://h/a.pdf?sig=2";

fn at() -> Timestamp {
    "2024-12-31T12:00:00Z".parse().unwrap()
}

fn event(urls: &[&str]) -> Event {
    let text = serde_json::json!({"trace_id": "t", "event_type": "x", "attachments": urls});
    Event::decode(text.to_string().as_bytes()).unwrap()
}

fn id(url: &str) -> Uuid {
    ids::media_id("t", url)
}

/// Adds a record of the event on the raw topic, which ingester and writer have finished or not.
fn add(day: &mut Day, event: &Event, is_finished: bool) {
    let finished = Finished {
        is_expanded: is_finished,
        is_written: is_finished,
    };
    day.on_raw.insert(ids::event_id(&event.trace_id));
    day.add_raw_event(event, at(), finished);
}

/// Returns a day with the event `t` of A and B, finished by ingester and writer, and its row.
fn day() -> Day {
    let mut day = Day::default();
    add(&mut day, &event(&[A, B]), true);
    day.event_rows.insert(ids::event_id("t"), 1);
    day
}

#[test]
fn one_place_each_is_well_and_an_attachment_without_a_place_is_missing() {
    let mut day = day();
    day.completed.insert(id(A), 1);
    assert_eq!(day.verdict().missing[0].media_id, Some(id(B)));
    day.waiting.insert(id(B), "cached");
    let findings = day.verdict();
    let attachments = &findings.attachments;
    assert!(findings.is_well(), "{findings:?}");
    assert_eq!((attachments.completed, attachments.waiting["cached"]), (1, 1));
    day.waiting.clear();
    day.failed.insert((id(B), 2), 1);
    let findings = day.verdict();
    assert!(findings.is_well() && findings.attachments.failed == 1, "{findings:?}");
}

#[test]
fn an_event_that_no_stage_has_finished_waits() {
    let mut day = Day::default();
    add(&mut day, &event(&[A, B]), false);
    let findings = day.verdict();
    assert!(findings.is_well());
    assert_eq!((findings.events.waiting, findings.attachments.waiting["raw"]), (1, 2));
    // The same event again, in a record that is finished.
    add(&mut day, &event(&[A]), true);
    let missing = day.verdict().missing;
    assert_eq!(missing.len(), 2, "{missing:?}");
    assert!(missing.iter().any(|missing| missing.url.is_none()), "the event's row");
    assert!(missing.iter().any(|missing| missing.media_id == Some(id(A))));
    day.dead_events.insert(ids::event_id("t"));
    assert_eq!(day.verdict().missing.len(), 1, "a dead letter holds its attachments");
}

#[test]
fn keys_are_counted_in_each_table_and_over_both() {
    let mut day = day();
    day.completed.extend([(id(A), 2), (id(B), 1)]);
    day.failed
        .extend([((id(B), 0), 1), ((Uuid::nil(), 1), 3), ((Uuid::nil(), 0), 1)]);
    day.event_rows.insert(ids::event_id("t"), 2);
    let duplicates = day.verdict().duplicates;
    let found: Vec<(&str, u32)> = duplicates.iter().map(|twice| (twice.table, twice.rows)).collect();
    let (completed, failed) = (("xact_attachments", 2), ("xact_attachments_failed", 3));
    assert_eq!(found, [completed, (BOTH_TABLES, 2), failed, ("xact_events", 2)]);
    // The failed row is removed before the result is finished.
    day.waiting.insert(id(B), "results");
    assert!(day.verdict().duplicates.iter().all(|twice| twice.table != BOTH_TABLES));
}

#[test]
fn without_the_raw_topic_attachments_are_matched_by_url_and_counted() {
    let mut day = Day::default();
    day.event_rows.insert(ids::event_id("t"), 1);
    let raw = r#"{"trace_id":"t","event_type":"x","attachments":["https://h/a.pdf","https://h/a.pdf"]}"#;
    day.add_row_event("t", at(), "https://h/a.pdf,https://h/a.pdf", raw);
    day.completed.insert(id(A), 1);
    day.add_attachment("t", id(A), "https://h/a.pdf");
    let findings = day.verdict();
    assert_eq!((findings.attachments.completed, findings.missing.len()), (1, 1));
    assert_eq!(findings.events.by_table_alone, 1);
    assert_eq!(findings.missing[0].url.as_deref(), Some("https://h/a.pdf"));
    day.failed.insert((id(B), 0), 1);
    day.add_attachment("t", id(B), "https://h/a.pdf");
    assert!(day.verdict().is_well());
}

#[test]
fn attachment_rows_without_an_event_row_report_the_event_row_as_missing() {
    let mut day = Day::default();
    day.completed.insert(id(A), 1);
    day.add_attachment("t", id(A), "https://h/a.pdf");
    let missing = day.verdict().missing;
    assert_eq!((missing.len(), missing[0].trace_id.as_str()), (1, "t"));
}

#[test]
fn urls_outside_the_list_are_not_well_unless_their_path_is_ignored() {
    let text = r#"{"trace_id":"t","event_type":"x","payload":{"docs":["https://h/a.pdf"],"self":"https://h/t"}}"#;
    for (ignored, paths) in [("", 2), ("$.payload.self", 1), ("$.payload.*", 0)] {
        for is_by_table in [false, true] {
            let mut day = Day {
                ignored_urls: UrlPaths::parse(ignored).unwrap(),
                ..Day::default()
            };
            day.event_rows.insert(ids::event_id("t"), 1);
            if is_by_table {
                day.add_row_event("t", at(), "", text);
            } else {
                add(&mut day, &Event::decode(text.as_bytes()).unwrap(), true);
            }
            let findings = day.verdict();
            assert_eq!(findings.unlisted_urls.len(), paths, "{ignored}");
            assert_eq!(findings.is_well(), paths == 0);
            assert_eq!(findings.events_with_unlisted_urls, u64::from(paths > 0));
        }
    }
}

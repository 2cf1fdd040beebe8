//! What a reconciliation found: counts, and each fault with the way to its event.

use indicatif::HumanCount;
use jiff::ToSpan;
use jiff::civil::Date;
use maud::{Markup, html};
use url::form_urlencoded;

use crate::console::layout::{problem, scroll, text, time};
use xact_contracts::time::utc_date;
use xact_operations::reconcile::{Missing, Reconciliation};

/// Most faults of a kind that a page shows.
const LIMIT: usize = 200;

/// Returns what was found in one line.
pub(super) fn summary(reconciliation: &Reconciliation) -> String {
    let found = &reconciliation.findings;
    let count = |count: usize| HumanCount(count as u64).to_string();
    if reconciliation.well {
        return match found.unreadable {
            0 => "Every attachment is in exactly one place.".to_owned(),
            unreadable => format!(
                "Every attachment of the readable events is in exactly one place. Records that are not readable events: {}.",
                HumanCount(unreadable)
            ),
        };
    }
    format!(
        "It does not balance: {} missing, {} duplicate, {} events with URLs outside their attachments.",
        count(found.missing.len()),
        count(found.duplicates.len()),
        HumanCount(found.events_with_unlisted_urls),
    )
}

/// Returns the counts and the faults of one date.
pub(super) fn findings(reconciliation: &Reconciliation, date: Date) -> Markup {
    let found = &reconciliation.findings;
    let (events, attachments) = (&found.events, &found.attachments);
    let counts = [
        ("Events", events.all),
        ("not written yet", events.waiting),
        ("no longer on the raw topic", events.by_table_alone),
        ("Attachments", attachments.all),
        ("completed", attachments.completed),
        ("failed", attachments.failed),
    ];
    let waiting = attachments.waiting.iter();
    let waiting = waiting.map(|(role, count)| (format!("waiting, {role}"), *count));
    html! {
        dl {
            @for (name, count) in counts { dt { (name) } dd { (HumanCount(count)) } }
            @for (name, count) in waiting { dt { (name) } dd { (HumanCount(count)) } }
            dt { "Missing" } dd { (HumanCount(found.missing.len() as u64)) }
            dt { "Duplicate" } dd { (HumanCount(found.duplicates.len() as u64)) }
            @if found.unreadable > 0 {
                dt { "Unreadable" }
                dd { (HumanCount(found.unreadable)) ", which are " a href="/dead-letters?stage=event-ingester" { "dead letters" } }
            }
        }
        @if !found.missing.is_empty() { (missing(&found.missing)) }
        @if !found.duplicates.is_empty() {
            (scroll("Duplicate", &html! { table {
                caption { "Duplicate" }
                thead { tr { th scope="col" { "Table" } th scope="col" { "Key" } th.number scope="col" { "Rows" } } }
                tbody {
                    @for duplicate in found.duplicates.iter().take(LIMIT) {
                        tr { td { (duplicate.table) } td.lines { (text(&duplicate.key)) } td.number { (duplicate.rows) } }
                    }
                }
            } }))
        }
        @if !found.unlisted_urls.is_empty() {
            (scroll("URLs outside the attachments", &html! { table {
                caption { "URLs outside the attachments, from which nothing is downloaded. If they are attachments, the source must put them into " code { "attachments" } "; if not, add the paths to " code { "IGNORED_URL_PATHS" } "." }
                thead { tr { th scope="col" { "Path" } th.number scope="col" { "Events" } } }
                tbody {
                    @for (path, events) in found.unlisted_urls.iter().take(LIMIT) {
                        tr { td.lines { (text(path)) } td.number { (HumanCount(*events)) } }
                    }
                }
            } }))
        }
        @if found.missing.len().max(found.duplicates.len()).max(found.unlisted_urls.len()) > LIMIT {
            p.advice { "Of each kind the first " (LIMIT) " are shown. All of them: " code { (command(date)) } }
        }
    }
}

/// Returns the command that has everything that a page leaves out.
pub(super) fn command(date: Date) -> String {
    let next = date.saturating_add(1.day());
    format!("xact-pipeline reconcile --from {date} --to {next} --json")
}

fn missing(missing: &[Missing]) -> Markup {
    html! {
        (problem("What is missing is in no table and in no topic: a guarantee was broken, or somebody changed a topic, a group or a table. The runbook reconciliation.md says what to do."))
        (scroll("Missing", &html! { table {
            caption { "Missing" }
            thead { tr {
                th scope="col" { "What" } th scope="col" { "Event time" } th scope="col" { "Trace id" }
                th scope="col" { "Attachment" } th scope="col" { "Life" }
            } }
            tbody {
                @for one in missing.iter().take(LIMIT) {
                    tr {
                        td { (one.what) }
                        td { (one.at.map_or_else(|| "–".to_owned(), time)) }
                        td.lines { (text(&one.trace_id)) }
                        td.lines { (one.url.as_deref().map_or_else(|| "–".to_owned(), text)) }
                        td { a href=(find(one)) { "Find" } }
                    }
                }
            }
        } }))
    }
}

/// Returns the address of its page in Find.
fn find(missing: &Missing) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    match missing.media_id {
        Some(id) => query.append_pair("as", "media-id").append_pair("id", &id.to_string()),
        None => query.append_pair("as", "trace-id").append_pair("id", &missing.trace_id),
    };
    if let Some(at) = missing.at {
        query.append_pair("date", &utc_date(at).to_string());
    }
    format!("/find?{}", query.finish())
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use xact_operations::reconcile::{Findings, TimeRange};

    fn reconciliation(missing: Vec<Missing>) -> Reconciliation {
        let date = Date::constant(2026, 11, 29);
        let findings = Findings {
            missing,
            ..Findings::default()
        };
        Reconciliation {
            range: TimeRange::of_date(date).unwrap(),
            well: findings.is_well(),
            findings,
            cu_seconds: None,
            recorded: None,
        }
    }

    #[test]
    fn each_missing_attachment_leads_to_its_life_and_many_to_the_command() {
        let hostile = Missing {
            what: "attachment",
            trace_id: "<b>&id=2".to_owned(),
            at: "2026-11-29T12:00:00Z".parse().ok(),
            media_id: None,
            url: Some("https://a.example/b?sig=SECRET".to_owned()),
        };
        let known = Missing {
            media_id: Some(Uuid::nil()),
            ..hostile.clone()
        };
        let date = Date::constant(2026, 11, 29);
        let shown = findings(&reconciliation(vec![hostile.clone(), known]), date).into_string();
        for part in [
            "href=\"/find?as=trace-id&amp;id=%3Cb%3E%26id%3D2&amp;date=2026-11-29\"",
            "href=\"/find?as=media-id&amp;id=00000000-0000-0000-0000-000000000000&amp;date=2026-11-29\"",
            "&lt;b&gt;",
        ] {
            assert!(shown.contains(part), "{part}: {shown}");
        }
        assert!(!shown.contains("SECRET") && !shown.contains("<b>"), "{shown}");
        let few = reconciliation(vec![hostile.clone(); LIMIT]);
        assert!(!findings(&few, date).into_string().contains("--json"));
        let many = reconciliation(vec![hostile; LIMIT + 1]);
        let shown = findings(&many, date).into_string();
        assert_eq!(shown.matches(">Find<").count(), LIMIT);
        assert!(
            shown.contains("reconcile --from 2026-11-29 --to 2026-11-30 --json"),
            "{shown}"
        );
    }

    #[test]
    fn the_summary_says_whether_it_balances() {
        assert!(summary(&reconciliation(Vec::new())).starts_with("Every attachment is"));
        let lost = Missing {
            what: "event row",
            trace_id: "t".to_owned(),
            at: None,
            media_id: None,
            url: None,
        };
        assert!(summary(&reconciliation(vec![lost])).contains("1 missing, 0 duplicate"));
    }
}

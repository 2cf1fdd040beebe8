//! The console in a real browser, which scripts of `tests/browser` drive: every page with hostile content and on every screen, the
//! keyboard, two tabs, sign-in and roles, a replay by clicking, and a broker that goes away.
//!
//! With `SCREENSHOTS=FOLDER` they write pictures of what they see; those in `FOLDER/readme` are the ones of README.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use xact_testkit::events::{event, good_event};
use xact_testkit::{Fleet, Kafka, Result, browser, console, failed, ids, kcat};

/// Would run if a page did not escape it, in a text, in an attribute, or in an address.
const HOSTILE: &str = "\"'><img src=x onerror=alert(1)><script>alert(2)</script>";

/// Returns the path of a page that finds this.
fn find(kind: &str, id: &str) -> String {
    format!("/find?as={kind}&id={}", utf8_percent_encode(id, NON_ALPHANUMERIC))
}

/// Returns an event with hostile content in every field that may have any.
fn hostile_event(trace_id: &str, assignment_id: &str) -> Vec<u8> {
    let urls = [
        format!("https://claimxperience.com/missing/9000/{HOSTILE}/b.pdf"),
        format!(
            "https://claimxperience.com/missing/9000/{}/b.pdf",
            HOSTILE.replace(' ', "%20")
        ),
        format!(
            "https://claimxperience.com/ok/9000/a/{}.pdf",
            HOSTILE.replace(' ', "%20")
        ),
        format!("https://claimxperience.com/ok/9000/{}.pdf", "long".repeat(60)),
        format!("javascript:alert(3)//{HOSTILE}"),
    ];
    json!({
        "trace_id": trace_id, "event_type": HOSTILE, "event_subtype": HOSTILE, "source_system": HOSTILE,
        "timestamp": "2024-12-31T12:00:00Z", "attachments": urls,
        "payload": {
            "assignmentId": assignment_id, "note": HOSTILE, "description": HOSTILE,
            "adm": {"coverageLoss": {"claimNumber": HOSTILE}},
        },
    })
    .to_string()
    .into_bytes()
}

/// Returns a dead letter with hostile content in every field.
fn hostile_letter() -> Value {
    json!({
        "trace_id": HOSTILE, "stage": HOSTILE, "attachment_url": format!("javascript:alert(4)//{HOSTILE}"),
        "source": {"topic": HOSTILE, "partition": 0, "offset": 1, "timestamp": null},
        "error_category": "permanent", "final_error": HOSTILE, "retry_count": 0, "failed_at": "2025-03-02T12:00:00Z",
        "original_payload": HOSTILE,
    })
}

/// Returns the place of a dead letter of this trace id and stage, as `PARTITION:OFFSET`.
fn letter(fleet: &Fleet, trace_id: &str, stage: &str) -> Result<String> {
    let listed = fleet.run(&["dlq", "list", "--json", "--trace-id", trace_id])?;
    let mut entries = listed.json_lines().into_iter();
    let entry = entries.find(|entry| entry["stage"] == stage);
    let entry = entry.ok_or_else(|| failed(format!("no dead letter of {stage}"), &listed.text))?;
    Ok(format!("{}:{}", entry["partition"], entry["offset"]))
}

/// Returns an event without a time of its own, which has the date of its record. One in ten names a file that does not exist.
fn event_of_today(trace_id: &str) -> Vec<u8> {
    let state = if trace_id.ends_with('7') { "missing" } else { "ok" };
    let url = format!("https://claimxperience.com/{state}/9000/{trace_id}/a.pdf");
    let mut event: Value = serde_json::from_slice(&event(trace_id, &json!([url]))).unwrap_or_default();
    event["timestamp"] = Value::Null;
    event.to_string().into_bytes()
}

/// For a script that asks for nothing while it runs.
fn nothing(request: &str) -> Result<()> {
    Err(failed("the test cannot do this", request))
}

#[test]
fn every_page_runs_nothing_hostile_on_every_screen_by_keyboard_and_for_every_role() -> Result<()> {
    let mut fleet = Fleet::shared("console-browser", &[])?;
    fleet.start_all()?;
    let good = "browser-good";
    fleet.send("raw", good, &good_event(good))?;
    let missing = json!(["https://claimxperience.com/missing/9000/browser/b.pdf"]);
    fleet.send("raw", "browser-missing", &event("browser-missing", &missing))?;
    let headers = [
        "-k",
        HOSTILE,
        "-D",
        "\u{1}",
        "-H",
        &format!("traceparent={HOSTILE}"),
        "-H",
        &format!("{HOSTILE}={HOSTILE}"),
    ];
    kcat::produce_with(
        &fleet.broker,
        &fleet.topic("raw"),
        &headers,
        &hostile_event(HOSTILE, HOSTILE),
    )?;
    fleet.send("raw", "browser-claim", &hostile_event("browser-claim", "A7"))?;
    fleet.send("raw", HOSTILE, HOSTILE.as_bytes())?;
    fleet.send("raw", "browser-binary", b"\xff\x00<script>")?;
    fleet.send("dlq", HOSTILE, hostile_letter().to_string().as_bytes())?;
    fleet.send("dlq", HOSTILE, HOSTILE.as_bytes())?;
    fleet.wait_no_lag()?;

    let address = console::start(&mut fleet, &[])?;
    let mut paths = json!({
        "/": ["event-ingester", "console-browser.downloads.pending"],
        "/dead-letters": ["By reason", "404"],
        "/tables": ["xact_events", "Rows"],
        "/setup": ["KAFKA_DLQ_TOPIC"],
        "/find?id=browser-good": ["Event browser-good", "completed", "SHA-256", "console-browser.events.raw"],
        (find("trace-id", HOSTILE)): ["dead letter", HOSTILE],
        (find("claim-number", HOSTILE)): ["browser-claim"],
        "/find?id=browser-nobody": ["nothing was found"],
        "/find?id=%3Cscript%3E&as=media-id": ["UUID"],
        "/nowhere": ["start at the overview"],
        "/dead-letters?category=permanent&all=yes": [HOSTILE],
    });
    for stage in ["event-ingester", HOSTILE] {
        paths[format!("/dead-letters/{}", letter(&fleet, HOSTILE, stage)?)] = json!([HOSTILE]);
    }
    browser::run("every_page", &address, json!({"paths": paths}), &fleet.dir, nothing)?;
    browser::run("keyboard", &address, json!({"found": good}), &fleet.dir, nothing)?;
    browser::run("two_tabs", &address, json!({"found": good}), &fleet.dir, nothing)?;

    let (viewer, token) = ("vera", "a-token-of-the-tests-that-only-views");
    let tokens = format!("{viewer}:view:{token}");
    let settings = [("CONSOLE_SIGN_IN", "token"), ("CONSOLE_TOKENS", tokens.as_str())];
    let address = console::start(&mut fleet, &settings)?;
    let arguments = json!({"view": [viewer, token], "found": good});
    browser::run("sign_in", &address, arguments, &fleet.dir, nothing)
}

#[test]
fn a_dead_letter_that_is_replayed_by_clicking_becomes_a_row() -> Result<()> {
    // Two attempts, and the server answers the fourth.
    let mut fleet = Fleet::shared("console-replay", &[("RETRY_DELAYS", "1"), ("MAX_RETRIES", "1")])?;
    fleet.start_all()?;
    let trace_id = "browser-replay";
    let url = "https://claimxperience.com/unavailable-thrice/9000/browser/a.pdf";
    fleet.send("raw", trace_id, &event(trace_id, &json!([url])))?;
    fleet.wait_records("dlq", 1)?;
    fleet.wait_no_lag()?;
    let entry = letter(&fleet, trace_id, "download")?;
    let address = console::start(&mut fleet, &[])?;
    let arguments = json!({"entry": entry, "trace_id": trace_id});
    browser::run("replay", &address, arguments, &fleet.dir, nothing)?;
    let rows = fleet.tables()?.attachments;
    assert_eq!(rows.len(), 1, "{rows:?}");
    assert_eq!(rows[0]["media_id"], ids::media_id(trace_id, url));
    Ok(())
}

#[test]
fn an_open_page_survives_a_broker_that_goes_away() -> Result<()> {
    let mut kafka = Kafka::start()?;
    let mut fleet = Fleet::new(kafka.bootstrap(), "xact", &[])?;
    fleet.start_pipeline()?;
    let address = console::start(&mut fleet, &[])?;
    let events: Vec<_> = (0..300).map(|number| format!("claim-{number}")).collect();
    fleet.send_all("raw", events.iter().map(|id| (id, good_event(id))))?;
    fleet.wait_no_lag()?;
    let mut sent = 0;
    browser::run(
        "pictures",
        &address,
        json!({"found": "claim-7"}),
        &fleet.dir,
        |request| match request {
            "send events" => {
                let events: Vec<String> = (sent..sent + 150).map(|number| format!("today-{number}")).collect();
                sent += events.len();
                fleet.send_all("raw", events.iter().map(|id| (id, event_of_today(id))))
            }
            other => nothing(other),
        },
    )?;
    browser::run(
        "broker_away",
        &address,
        json!({}),
        &fleet.dir,
        |request| match request {
            "stop the broker" => kafka.stop().map(drop),
            "start the broker" => kafka.restart(),
            other => nothing(other),
        },
    )
}

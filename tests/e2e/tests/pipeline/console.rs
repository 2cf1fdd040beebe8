//! `console`: each page over a pipeline with faults among the events, in a real browser, with hostile content, and with services
//! that are away.

use serde_json::json;

use xact_testkit::events::event;
use xact_testkit::{Fleet, Kafka, Result, assert_contains, browser, http, ports};

/// Would run if a page did not escape it.
const HOSTILE: &str = "<img src=x onerror=alert(1)><script>alert(2)</script>";

/// Starts the console of a fleet, and returns its address.
fn console(fleet: &mut Fleet) -> Result<String> {
    let address = format!("127.0.0.1:{}", ports::free()?);
    fleet.spawn_with("console", "xact-pipeline", &["console", "--listen", &address], &[])?;
    fleet.wait_until("the console responds", || http::get(&address, "/").ok())?;
    Ok(address)
}

#[test]
fn every_page_shows_a_running_pipeline_in_a_browser_and_runs_nothing_hostile() -> Result<()> {
    let mut fleet = Fleet::shared("console", &[])?;
    fleet.start_all()?;
    let url = "https://claimxperience.com/ok/9000/console/a.pdf";
    fleet.send("raw", "console-good", &event("console-good", &json!([url])))?;
    let missing = "https://claimxperience.com/missing/9000/console/b.pdf";
    fleet.send("raw", HOSTILE, &event(HOSTILE, &json!([missing])))?;
    fleet.send("raw", "unreadable", HOSTILE.as_bytes())?;
    fleet.wait_records("dlq", 2)?;
    fleet.wait_no_lag()?;
    let address = console(&mut fleet)?;
    let dead = fleet.run(&["dlq", "list", "--trace-id", "unreadable", "--json"])?;
    let dead = dead.json_lines().remove(0);
    let entry = format!("/dead-letters/{}:{}", dead["partition"], dead["offset"]);
    let find_hostile = format!("/find?id={}", HOSTILE.replace(' ', "+").replace('=', "%3D"));
    for (path, parts) in [
        (
            // The overview without its stream, which has no end.
            "/overview",
            &["event-ingester", "console.downloads.pending", "nothing waits"][..],
        ),
        (
            "/find?id=console-good",
            &["Event console-good", "completed", "SHA-256", "console.events.raw"],
        ),
        (&find_hostile, &["dead letter", "dlq replay", "&lt;script&gt;alert(2)"]),
        ("/dead-letters", &["2 wait", "event-ingester", "By reason", "404"]),
        (&entry, &["would fail again", "&lt;script&gt;alert(2)"]),
        ("/tables", &["xact_events", "Rows", "xact_attachments_failed"]),
        (
            "/setup",
            &["KAFKA_DLQ_TOPIC", "topics, all on one cluster", "table xact_events"],
        ),
    ] {
        let shown = browser::open(&format!("http://{address}{path}"), &fleet.dir)?;
        assert_contains(&shown.document, parts);
        assert!(!shown.document.contains("<script>alert"), "{path}: {}", shown.document);
        // A violation of the policy, an error of a script, or a dialog.
        assert_eq!(shown.console, Vec::<String>::new(), "{path}");
    }
    let (status, first) = http::get(&address, "/")?;
    assert_eq!(status, 200);
    let (_, script) = http::get(&address, "/assets/htmx.js")?;
    let (_, style) = http::get(&address, "/assets/console.css")?;
    let bytes = first.len() + script.len() + style.len();
    assert!(bytes < 100_000, "{bytes} bytes of the first page");
    Ok(())
}

#[test]
fn what_cannot_be_shown_is_a_page_that_says_what_to_do() -> Result<()> {
    let mut kafka = Kafka::start()?;
    let mut fleet = Fleet::new(kafka.bootstrap(), "console-bad", &[])?;
    let address = console(&mut fleet)?;
    for (path, status, part) in [
        ("/find", 200, "<form"),
        ("/find?id=console-nobody", 404, "nothing was found"),
        ("/find?id=%3Cscript%3E&as=media-id", 400, "UUID"),
        ("/find?id=a&date=yesterday", 400, "yesterday"),
        ("/nowhere", 404, "start at the overview"),
        ("/dead-letters/0:17", 404, "no dead letter at 0:17"),
        ("/dead-letters/%3Cscript%3E", 404, "PARTITION:OFFSET"),
        ("/dead-letters?stage=uploads", 400, "uploads"),
        ("/dead-letters?since=yesterday", 400, "yesterday"),
        ("/dead-letters", 200, "No dead letter matches"),
        ("/tables", 200, "Its first row creates it"),
        ("/overview", 200, "nothing waits"),
    ] {
        let (found, text) = http::get(&address, path)?;
        assert_eq!(found, status, "{path}: {text}");
        assert_contains(&text, &[part]);
        assert!(!text.contains("<script>"), "{path}");
    }
    // A page of another origin whose host name resolves to this machine.
    let port = address.rsplit(':').next().unwrap_or_default();
    let (status, _) = http::get_as(&address, "/dead-letters", &format!("attacker.example:{port}"))?;
    assert_eq!(status, 421);
    kafka.stop()?;
    // The last reading is shown for some seconds; the page goes on asking.
    let text = fleet.wait_until("the overview says why", || {
        let (status, text) = http::get(&address, "/overview").ok()?;
        (status == 200 && text.contains("role=\"alert\"")).then_some(text)
    })?;
    assert_contains(&text, &["asks again"]);
    for path in ["/dead-letters", "/dead-letters/0:17"] {
        assert_eq!(http::get(&address, path)?.0, 502, "{path}");
    }
    kafka.restart()?;
    fleet.wait_until("the overview is back", || {
        http::get(&address, "/overview")
            .ok()
            .filter(|(_, text)| text.contains("nothing waits"))
    })?;
    // Addresses that other machines reach are refused.
    let open = fleet.run(&["console", "--listen", "0.0.0.0:0"])?;
    open.ended_with(2, &["set CONSOLE_SIGN_IN", "ssh -L"])?;
    Ok(())
}

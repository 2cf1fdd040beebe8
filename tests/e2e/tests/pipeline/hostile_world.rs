//! An attacker who controls the event, the URL and the server, against the real processes.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use serde_json::json;

use xact_testkit::events::{event, task};
use xact_testkit::secrets::SIGNED;
use xact_testkit::{Fleet, Result, assert_contains};

/// Starts a listener that only counts connections.
fn count_connections() -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let seen = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&seen);
    thread::spawn(move || {
        while listener.accept().is_ok() {
            count.fetch_add(1, Ordering::Relaxed);
        }
    });
    (address, seen)
}

#[test]
fn hostile_urls_are_never_requested_and_explain_reports_the_same_reason() -> Result<()> {
    let (inside, connections) = count_connections();
    let port = inside.rsplit_once(':').unwrap().1.to_owned();
    let proxy = format!("http://{inside}");
    // A proxy would resolve names itself and bypass every check.
    let proxies = ["HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "https_proxy"].map(|name| (name, proxy.as_str()));
    let mut fleet = Fleet::shared("hostile", &proxies)?;
    fleet.start(&[
        "event-ingester",
        "event-writer",
        "download",
        "upload",
        "result-processor",
        "dlq",
    ])?;
    let hostile = [
        format!("https://127.0.0.1:{port}/a.pdf"),
        format!("http://127.0.0.1:{port}/a.pdf"),
        format!("https://[::1]:{port}/a.pdf"),
        format!("https://[::ffff:127.0.0.1]:{port}/a.pdf"),
        format!("https://2130706433:{port}/a.pdf"),
        format!("https://0x7f.1:{port}/a.pdf"),
        format!("https://127.0.0.1.nip.io:{port}/a.pdf"),
        format!("https://a.localhost:{port}/a.pdf"),
        format!("https://claimxperience.com@127.0.0.1:{port}/a.pdf"),
        format!("https://127.0.0.1:{port}\\@claimxperience.com/a.pdf"),
        format!("https://claimxperience.com\t@127.0.0.1:{port}/a.pdf"),
        format!("file://127.0.0.1:{port}/etc/passwd.pdf"),
        format!("gopher://127.0.0.1:{port}/_GET.pdf"),
        "https://claimxpеrience.com/a.pdf".to_owned(),
        "https://claimxperience.com%2f@evil.example/a.pdf".to_owned(),
        "https://claimxperience.com/\u{1b}]0;owned\u{7}/a.pdf".to_owned(),
    ];
    let good = format!("https://claimxperience.com/ok/9000/good/a.pdf?{SIGNED}");
    let events = hostile.iter().enumerate().map(|(number, url)| {
        let trace_id = format!("hostile-{number}");
        (trace_id.clone(), event(&trace_id, &json!([url, good])))
    });
    fleet.send_all("raw", events)?;
    // The same by tasks that bypass the ingester.
    let tasks = hostile.iter().enumerate().map(|(number, url)| {
        let trace_id = format!("task-{number}");
        (trace_id.clone(), task(&trace_id, url, &json!({})))
    });
    fleet.send_all("pending", tasks)?;
    fleet.wait_no_lag()?;

    let tables = fleet.tables()?;
    assert_eq!(tables.attachments.len(), hostile.len(), "the good one of each event");
    let text = |row: &serde_json::Value, name: &str| row[name].as_str().unwrap().to_owned();
    let reason = |row| (text(row, "trace_id"), text(row, "error_message"));
    let reasons: BTreeMap<String, String> = tables.failed.iter().map(reason).collect();
    assert_eq!(reasons.len(), 2 * hostile.len(), "{reasons:?}");
    for (number, url) in hostile.iter().enumerate() {
        let explained = fleet.run(&["explain", url])?;
        assert!(!explained.text.contains('\u{1b}'), "{}", explained.text);
        // Cells are wrapped: only the words count.
        let words = |text: &str| text.split(|c: char| !c.is_alphanumeric()).collect::<String>();
        let explained = words(&explained.ended(1)?);
        for stage in ["hostile", "task"] {
            let reason = &reasons[&*format!("{stage}-{number}")];
            assert!(explained.contains(&words(reason)), "{url:?}: {reason}\n{explained}");
        }
    }
    assert_eq!(connections.load(Ordering::Relaxed), 0, "connections");
    Ok(())
}

#[test]
fn fifty_concurrent_endless_bodies_fit_into_128_mib() -> Result<()> {
    let settings = [("DOWNLOAD_CONCURRENCY", "50"), ("MAX_FILE_BYTES", "12000000")];
    let mut fleet = Fleet::shared("endless", &settings)?;
    fleet.start(&["download"])?;
    let tasks = (0..50).map(|number| {
        let trace_id = format!("endless-{number}");
        let url = format!("https://claimxperience.com/endless/9000/{number}/a.pdf");
        (trace_id.clone(), task(&trace_id, &url, &json!({})))
    });
    fleet.send_all("pending", tasks)?;
    fleet.wait_records("dlq", 50)?;
    for letter in fleet.messages("dlq")? {
        assert_eq!(letter["error_category"], "permanent", "{letter}");
        assert_contains(letter["final_error"].as_str().unwrap(), &["MAX_FILE_BYTES"]);
    }
    let resident = fleet["download"].process.most_resident_kib().unwrap() / 1024;
    println!("50 endless bodies: at most {resident} MiB resident");
    assert!(resident < 128, "{resident} MiB");
    assert_eq!(fleet.cached().len(), 0);
    Ok(())
}

//! An attacker who controls the event, the URL and the server, against the real processes.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use xact_testkit::events::{event, task};
use xact_testkit::pipeline::files_below;
use xact_testkit::secrets::SIGNED;
use xact_testkit::{Fleet, command, kcat};
use xact_testkit::{Kafka, Result, wait_until};

const SOON: Duration = Duration::from_secs(120);

/// A listener that only counts who connects.
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
    let (inside, seen) = count_connections();
    let port = inside.rsplit_once(':').unwrap().1.to_owned();
    let proxy = format!("http://{inside}");
    let mut fleet = Fleet::new(
        Kafka::shared()?.bootstrap(),
        "hostile",
        // A proxy would resolve names itself and bypass every check.
        &[
            ("HTTPS_PROXY", &proxy),
            ("HTTP_PROXY", &proxy),
            ("ALL_PROXY", &proxy),
            ("https_proxy", &proxy),
        ],
    )?;
    fleet.create_topics()?;
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
    let mut records: Vec<(String, Vec<u8>)> = hostile
        .iter()
        .enumerate()
        .map(|(number, url)| {
            let trace_id = format!("hostile-{number}");
            let event = event(&trace_id, &json!([url, good]));
            (trace_id, event)
        })
        .collect();
    // The same by tasks that bypass the ingester.
    let tasks: Vec<(String, Vec<u8>)> = hostile
        .iter()
        .enumerate()
        .map(|(number, url)| {
            let trace_id = format!("task-{number}");
            let task = task(&trace_id, url, &json!({}));
            (trace_id, task)
        })
        .collect();
    kcat::produce_all(&fleet.broker, &fleet.topic("raw"), &records)?;
    kcat::produce_all(&fleet.broker, &fleet.topic("pending"), &tasks)?;
    records.extend(tasks);
    fleet.wait_no_lag(SOON)?;

    let tables = fleet.tables()?;
    assert_eq!(tables.attachments.len(), hostile.len(), "the good one of each event");
    let reasons: BTreeMap<&str, &str> = tables
        .failed
        .iter()
        .map(|row| {
            (
                row["trace_id"].as_str().unwrap(),
                row["error_message"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(reasons.len(), 2 * hostile.len(), "{reasons:?}");
    for (number, url) in hostile.iter().enumerate() {
        let explained = command(&["explain", url], fleet.environment.clone(), &fleet.dir)?;
        assert!(!explained.text.contains('\u{1b}'), "{}", explained.text);
        // Cells are wrapped: only the words count.
        let words = |text: &str| {
            text.split(|c: char| !c.is_alphanumeric())
                .filter(|word| !word.is_empty())
                .collect::<String>()
        };
        let explained = words(&explained.ended(1)?);
        for stage in ["hostile", "task"] {
            let reason = reasons[&*format!("{stage}-{number}")];
            assert!(explained.contains(&words(reason)), "{url:?}: {reason}\n{explained}");
        }
    }
    assert_eq!(seen.load(Ordering::Relaxed), 0, "nobody has connected");
    Ok(())
}

#[test]
fn fifty_concurrent_endless_bodies_fit_into_128_mib() -> Result<()> {
    let bytes = 12_000_000;
    let mut fleet = Fleet::new(
        Kafka::shared()?.bootstrap(),
        "endless",
        &[("DOWNLOAD_CONCURRENCY", "50"), ("MAX_FILE_BYTES", &bytes.to_string())],
    )?;
    fleet.create_topics()?;
    fleet.start(&["download"])?;
    let tasks: Vec<(String, Vec<u8>)> = (0..50)
        .map(|number| {
            let trace_id = format!("endless-{number}");
            let url = format!("https://claimxperience.com/endless/9000/{number}/a.pdf");
            let task = task(&trace_id, &url, &json!({}));
            (trace_id, task)
        })
        .collect();
    kcat::produce_all(&fleet.broker, &fleet.topic("pending"), &tasks)?;
    wait_until(SOON, "all of them are dead letters", || {
        (fleet.records("dlq").ok()?.len() == 50).then_some(())
    })
    .map_err(|error| fleet["download"].process.error(&error.to_string()))?;
    for letter in fleet.messages("dlq")? {
        assert_eq!(letter["error_category"], Value::from("permanent"), "{letter}");
        assert!(
            letter["final_error"].as_str().unwrap().contains("MAX_FILE_BYTES"),
            "{letter}"
        );
    }
    let resident = fleet["download"].process.most_resident_kib().unwrap() / 1024;
    println!("50 endless bodies: at most {resident} MiB resident");
    assert!(resident < 128, "{resident} MiB");
    assert_eq!(files_below(&fleet.dir.join("cache")).len(), 0);
    Ok(())
}

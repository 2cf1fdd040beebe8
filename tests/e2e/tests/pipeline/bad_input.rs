//! Mistakes of an operator on the command line, in the environment and in a file: each ends with exit code 2 and a text with
//! the remedy.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::net::TcpListener;
use std::time::{Duration, Instant};

use xact_testkit::command::{client, run};
use xact_testkit::{Result, WorkDir, assert_contains, command, ports, variables};

const SECRET: &str = "PLANTED-secret";

/// Invalid values with a part of the text that reports each.
const BAD: [(&str, &str, &str); 13] = [
    ("METRICS_PORT", "70000", "0 to 65535"),
    ("DOWNLOAD_CONCURRENCY", "51", "1 to 50"),
    ("UPLOAD_CONCURRENCY", "many", "1 to 50"),
    ("RETRY_DELAYS", "300,soon", "seconds"),
    ("MAX_RETRIES", "-1", "0 to 100"),
    ("MAX_FILE_BYTES", "2 GiB", "bytes"),
    ("ENABLE_DELTA_WRITES", "perhaps", "true or false"),
    ("EVENTHUB_AUTO_OFFSET_RESET", "yesterday", "earliest or latest"),
    ("KAFKA_SESSION_TIMEOUT_MS", "1", "6000 to 300000"),
    ("ALLOWED_ATTACHMENT_DOMAINS", "https://example.com/", "host names"),
    ("IGNORED_URL_PATHS", "payload.links", "paths begin with $."),
    ("KAFKA_DLQ_TOPIC", "dead letters", "topic name"),
    ("EVENTHUB_CONNECTION_STRING", SECRET, "EVENTHUB_BOOTSTRAP_SERVERS"),
];

#[test]
fn every_configuration_error_is_reported_at_once_without_secrets() -> Result<()> {
    let dir = WorkDir::new("configuration")?;
    let values: Vec<(&str, &str)> = BAD.iter().map(|(name, value, _)| (*name, *value)).collect();
    let ways: [(&str, &[&str]); 5] = [
        ("xact-pipeline", &[]),
        ("xact-pipeline", &["--dev"]),
        ("xact-pipeline", &["topics", "list"]),
        ("xact-pipeline", &["demo", "--events", "1"]),
        ("download", &[]),
    ];
    for (program, args) in ways {
        let answer = run(program, args, variables(&values), &dir)?;
        assert_eq!(answer.code, Some(2), "{program} {args:?}: {}", answer.text);
        for (name, value, allowed) in BAD {
            let line = answer
                .text
                .lines()
                .find(|line| line.trim().starts_with(&format!("{name}=")));
            let line = line.unwrap_or_else(|| panic!("{program} {args:?} does not report {name}: {}", answer.text));
            assert_contains(line, &[allowed]);
            assert!(value == SECRET || line.contains(value), "{value:?} is not in {line}");
        }
        assert!(!answer.text.contains(SECRET), "{}", answer.text);
    }
    Ok(())
}

#[test]
fn dotenv_is_read_and_the_real_environment_wins() -> Result<()> {
    let dir = WorkDir::new("configuration")?;
    fs::write(dir.join(".env"), "# ours\nMAX_RETRIES=lots\nCOMMIT_INTERVAL_MS=\"1\"\n").unwrap();
    let answer = run("dlq", &[], variables(&[("COMMIT_INTERVAL_MS", "200")]), &dir)?;
    let text = answer.ended_with(2, &["MAX_RETRIES=\"lots\""])?;
    assert!(!text.contains("COMMIT_INTERVAL_MS="), "{text}");

    fs::write(dir.join(".env"), format!("INVOKE_TOKEN={SECRET} and more\n")).unwrap();
    let text = run("dlq", &[], Vec::new(), &dir)?.ended_with(2, &[".env"])?;
    assert!(!text.contains(SECRET), "{text}");
    Ok(())
}

#[test]
fn unknown_options_and_workers_are_refused_with_help() -> Result<()> {
    let dir = WorkDir::new("usage")?;
    let cases: [(&[&str], &str); 9] = [
        (&["--verbose"], "--verbose"),
        (
            &["--worker", "uploads"],
            "result-processor, retry-scheduler, dlq, or all",
        ),
        (&["--worker"], "--worker"),
        (&["--count", "0"], "1..=64"),
        (&["--metrics-port", "70000"], "70000"),
        (&["--demo", "10"], "--dev"),
        (&["--dev", "--demo", "10", "--worker", "dlq"], "cannot be used with"),
        (&["frobnicate"], "frobnicate"),
        (&["topics", "delete"], "delete"),
    ];
    for (args, complaint) in cases {
        command(args, Vec::new(), &dir)?.ended_with(2, &[complaint, "--help"])?;
    }
    let help = command(&["--help"], Vec::new(), &dir)?;
    let options = [
        "--dev",
        "--demo",
        "--worker",
        "--count",
        "--metrics-port",
        "--log-level",
        "--no-delta",
    ];
    help.ended_with(0, &[&options[..], &["produce", "topics"]].concat())?;
    Ok(())
}

/// A file's name, its content if it exists, and parts of the text that reports it.
type Case<'a> = (&'a str, Option<&'a [u8]>, &'a [&'a str]);

#[test]
fn produce_refuses_a_file_without_an_event_before_it_connects() -> Result<()> {
    let dir = WorkDir::new("produce")?;
    let good = r#"{"trace_id":"t","event_type":"documentsReceived"}"#;
    let mixed = format!("{good}\n{{\"event_type\":\"x\"}}");
    let cases: [Case<'_>; 7] = [
        ("missing.json", None, &["cannot be read"]),
        (".", None, &["cannot be read"]),
        ("empty.json", Some(b""), &["no event"]),
        ("text.json", Some(b"Dear Sirs"), &["invalid JSON"]),
        ("bytes.json", Some(b"\xff\xfe{}"), &["UTF-8"]),
        ("other.json", Some(b"{\"event_type\":\"x\"}"), &["event 1", "trace_id"]),
        ("mixed.json", Some(mixed.as_bytes()), &["event 2", "trace_id"]),
    ];
    let nobody = client(&format!("127.0.0.1:{}", ports::free()?));
    for (name, content, complaints) in cases {
        if let Some(content) = content {
            fs::write(dir.join(name), content).unwrap();
        }
        let started = Instant::now();
        let answer = command(&["produce", name], nobody.clone(), &dir)?;
        answer.ended_with(2, &[complaints, &[name]].concat())?;
        assert!(
            started.elapsed().as_secs() < 20,
            "{name}: it waited for the broker first"
        );
    }
    Ok(())
}

#[test]
fn produce_without_a_broker_fails_with_what_to_check() -> Result<()> {
    let dir = WorkDir::new("produce")?;
    let nobody = format!("127.0.0.1:{}", ports::free()?);
    let event = r#"{"trace_id":"t","event_type":"documentsReceived"}"#;
    fs::write(dir.join("event.json"), event).unwrap();
    let started = Instant::now();
    let answer = command(&["produce", "event.json"], client(&nobody), &dir)?;
    answer.ended_with(2, &["not sent within 30 s", &nobody, "Check the bootstrap servers"])?;
    let took = started.elapsed();
    assert!(
        (Duration::from_secs(29)..Duration::from_secs(45)).contains(&took),
        "after {took:?}"
    );
    Ok(())
}

#[test]
fn a_port_in_use_is_reported_with_the_variable_to_change() -> Result<()> {
    let dir = WorkDir::new("port")?;
    let taken = TcpListener::bind("0.0.0.0:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    for (program, args) in [("xact-pipeline", &["--worker", "dlq"][..]), ("dlq", &[])] {
        let answer = run(program, args, variables(&[("METRICS_PORT", port)]), &dir)?;
        let place = format!("0.0.0.0:{port} cannot be opened");
        answer.ended_with(2, &[&place, "in use", "METRICS_PORT"])?;
    }
    Ok(())
}

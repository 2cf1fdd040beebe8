//! The HTTP endpoints of each handler: health, metrics, and `/invoke`, which calls the handler without Kafka.

#![allow(clippy::unwrap_used)]

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use xact_testkit::command::{client, wait_no_lag};
use xact_testkit::events::event;
use xact_testkit::samples::SampleServer;
use xact_testkit::stages::{STAGES, environment};
use xact_testkit::{Kafka, Result, WorkDir, http, ports, tables, wait_until};
use xact_testkit::{Pipeline, Running, command, ids, kcat};

const SOON: Duration = Duration::from_secs(60);
const STOPPED: Duration = Duration::from_secs(35);
const TOKEN: &str = "PLANTED-invoke-token";

#[test]
fn every_handler_is_live_without_a_broker_and_ready_with_one() -> Result<()> {
    let mut kafka = Kafka::start()?;
    let dir = WorkDir::new("http")?;
    command(&["topics", "create"], client(kafka.bootstrap()), &dir)?.success()?;
    kafka.kill()?;
    let samples = SampleServer::start(&dir)?;
    let environment = environment(kafka.bootstrap(), &samples, &dir);
    let mut handlers = Vec::new();
    for (stage, _, _) in STAGES {
        handlers.push(Running::start(stage, stage, &[], environment.clone(), &dir)?);
    }
    let worker = ["--worker", "download"];
    handlers.push(Running::start("worker", "xact-pipeline", &worker, environment, &dir)?);

    for handler in &handlers {
        let name = handler.process.name();
        wait_until(SOON, "the process lives", || {
            handler.get("/health/live").ok().filter(|answer| answer.0 == 200)
        })
        .map_err(|error| handler.process.error(&error.to_string()))?;
        wait_until(SOON, "it is not ready, and says that the broker is missing", || {
            handler
                .reasons()?
                .to_string()
                .contains("no broker answers")
                .then_some(())
        })
        .map_err(|error| handler.process.error(&format!("{error}: {:?}", handler.reasons())))?;
        // Its own state is told as well: the stage's name is a component.
        let stage = if name == "worker" { "download" } else { name };
        assert!(
            handler.reasons().unwrap()[stage].is_string(),
            "{name}: {:?}",
            handler.reasons()
        );
        handler.metrics()?;
    }

    kafka.restart()?;
    for handler in &mut handlers {
        handler.wait_ready()?;
        let (status, body) = handler.get("/health/ready")?;
        assert_eq!(
            (status, &serde_json::from_str(&body).unwrap()),
            (200, &json!({"ready": true, "reasons": {}}))
        );
        // A second member of a group is ready before the first one has handed over its share.
        wait_until(SOON, "it has partitions", || {
            let partitions = handler.metrics().ok()?.sum("kafka_consumer_assigned_partitions", &[]);
            (partitions > 0.0).then_some(())
        })
        .map_err(|error| handler.process.error(&error.to_string()))?;
        // Nothing there as long as no token is set, whatever is sent.
        let anybody = [("Authorization", "Bearer guess")];
        assert_eq!(
            http::post(&handler.address, "/invoke", &anybody, b"{}")?.0,
            404,
            "{}",
            handler.process.name()
        );
        assert_eq!(handler.get("/nothing")?.0, 404);
    }
    for handler in &mut handlers {
        handler.process.terminate()?;
    }
    for handler in &mut handlers {
        assert_eq!(
            handler.process.wait(STOPPED)?.code(),
            Some(0),
            "{}",
            handler.process.tail()
        );
    }
    Ok(())
}

/// A batch as Lambda has it, of one record with this value.
fn batch(topic: &str, offset: i64, key: &str, value: &[u8]) -> Vec<u8> {
    json!({"eventSource": "SelfManagedKafka", "records": {format!("{topic}-0"): [{
        "topic": topic, "partition": 0, "offset": offset, "timestamp": 1_735_646_400_000_i64, "timestampType": "CREATE_TIME",
        "key": STANDARD.encode(key), "value": STANDARD.encode(value),
        "headers": [{"trace_id": key.as_bytes()}],
    }]}})
    .to_string()
    .into_bytes()
}

fn task(trace_id: &str, url: &str, retry_at: &str) -> Vec<u8> {
    json!({
        "trace_id": trace_id, "media_id": ids::media_id(trace_id, url), "attachment_url": url,
        "blob_path": format!("documentsReceived/A1/{trace_id}/A1_scan.pdf"), "status_subtype": "documentsReceived",
        "file_type": "PDF", "assignment_id": "A1", "retry_count": 1, "event_type": "xact",
        "event_subtype": "documentsReceived", "original_timestamp": "2024-12-31T12:00:00Z",
        "metadata": {"retry_at": retry_at, "last_error": "503", "error_category": "transient"},
    })
    .to_string()
    .into_bytes()
}

/// POSTs with the token: the offsets that must be sent again.
fn invoke(running: &Running, path: &str, body: &[u8]) -> Result<Vec<i64>> {
    let bearer = format!("Bearer {TOKEN}");
    let (status, answer) = http::post(&running.address, path, &[("Authorization", &bearer)], body)?;
    assert_eq!(status, 200, "{answer}");
    let answer: Value = serde_json::from_str(&answer).unwrap();
    let failures = answer["batchItemFailures"].as_array().unwrap();
    Ok(failures
        .iter()
        .map(|failure| failure["itemIdentifier"]["offset"].as_i64().unwrap())
        .collect())
}

#[test]
fn invoke_requires_the_token_and_a_readable_batch() -> Result<()> {
    let dir = WorkDir::new("http")?;
    let pipeline = Pipeline::start(&[("INVOKE_TOKEN", TOKEN)], &dir)?;
    let good = batch(
        "xact.events.raw",
        0,
        "t",
        &event("t", &json!(["https://claimxperience.com/a.pdf"])),
    );
    let post = |path: &str, token: Option<&str>, body: &[u8]| {
        let bearer = token.map(|token| format!("Bearer {token}"));
        let headers: Vec<(&str, &str)> = bearer.iter().map(|bearer| ("Authorization", bearer.as_str())).collect();
        http::post(&pipeline.running.address, path, &headers, body)
    };
    for token in [
        None,
        Some(""),
        Some("wrong"),
        Some("PLANTED-invoke-toke"),
        Some("PLANTED-invoke-token2"),
    ] {
        let (status, answer) = post("/invoke/event-ingester", token, &good)?;
        assert_eq!(status, 401, "{token:?}: {answer}");
        assert!(answer.contains("INVOKE_TOKEN") && !answer.contains(TOKEN), "{answer}");
        assert_eq!(post("/invoke", token, &good)?.0, 401);
    }
    let not_base64 = String::from_utf8(good.clone())
        .unwrap()
        .replace(&STANDARD.encode("t"), "%%");
    for (body, complaint) in [
        (&b""[..], "Lambda Kafka event"),
        (b"[]", "Lambda Kafka event"),
        (b"{\"records\":{\"t-0\":[{}]}}", "topic"),
        (not_base64.as_bytes(), "base64"),
    ] {
        let (status, answer) = post("/invoke/event-ingester", Some(TOKEN), body)?;
        assert_eq!(status, 400, "{}: {answer}", String::from_utf8_lossy(body));
        assert!(answer.contains(complaint), "{answer}");
    }
    // Which one of the seven is meant must be said.
    let (status, answer) = post("/invoke", Some(TOKEN), &good)?;
    assert!(
        status == 400 && answer.contains("/invoke/{worker}"),
        "{status}: {answer}"
    );
    assert_eq!(post("/invoke/nobody", Some(TOKEN), &good)?.0, 404);
    // Nothing of all that was worked on.
    assert_eq!(pipeline.running.metrics()?.sum("kafka_events_ingested_total", &[]), 0.0);
    Ok(())
}

#[test]
fn invoked_handlers_behave_as_on_kafka() -> Result<()> {
    let dir = WorkDir::new("http")?;
    let pipeline = Pipeline::start(&[("INVOKE_TOKEN", TOKEN)], &dir)?;
    let running = &pipeline.running;
    let ingest = |offset, trace_id: &str, value: &[u8]| {
        invoke(
            running,
            "/invoke/event-ingester",
            &batch("xact.events.raw", offset, trace_id, value),
        )
    };
    let url = "https://claimxperience.com/ok/30000/x/scan.pdf";
    assert_eq!(
        ingest(0, "invoked", &event("invoked", &json!([url])))?,
        [0; 0],
        "an event"
    );
    assert_eq!(
        ingest(1, "broken", b"{\"trace_id\":")?,
        [0; 0],
        "what is unreadable is dead-lettered, so it is finished"
    );

    let retry = |offset, trace_id: &str, retry_at: &str| {
        let value = task(trace_id, url, retry_at);
        invoke(
            running,
            "/invoke/retry-scheduler",
            &batch("xact.downloads.pending.retry.1s", offset, trace_id, &value),
        )
    };
    assert_eq!(
        retry(7, "early", "2099-01-01T00:00:00Z")?,
        [7],
        "not due: it is to be sent again"
    );
    assert_eq!(retry(8, "due", "2024-12-31T12:05:00Z")?, [0; 0], "due: it is produced");

    for name in ["invoked", "due"] {
        let file = pipeline
            .files()
            .join(format!("documentsReceived/A1/{name}/A1_scan.pdf"));
        wait_until(SOON, &format!("{} is there", file.display()), || {
            file.is_file().then_some(())
        })
        .map_err(|error| running.process.error(&error.to_string()))?;
    }
    wait_no_lag(SOON, &pipeline.broker()?, &dir)?;
    let tables = pipeline.tables()?;
    let mut rows: Vec<(&str, u64)> = tables
        .attachments
        .iter()
        .map(|row| (row["trace_id"].as_str().unwrap(), row["retry_count"].as_u64().unwrap()))
        .collect();
    rows.sort_unstable();
    assert_eq!(rows, [("due", 1), ("invoked", 0)]);
    let audit = pipeline.audit()?;
    assert_eq!(audit.len(), 1, "{audit:?}");
    assert_eq!(
        (&audit[0]["trace_id"], &audit[0]["stage"]),
        (&"broken".into(), &"event-ingester".into())
    );
    Ok(())
}

#[test]
fn an_event_writer_without_any_broker_writes_an_invoked_event_once() -> Result<()> {
    let dir = WorkDir::new("http")?;
    let samples = SampleServer::start(&dir)?;
    let nobody = format!("127.0.0.1:{}", ports::free()?);
    let mut environment = environment(&nobody, &samples, &dir);
    environment.push(("INVOKE_TOKEN".to_owned(), TOKEN.to_owned()));
    let mut writer = Running::start("event-writer", "event-writer", &[], environment, &dir)?;
    wait_until(SOON, "its worker runs", || {
        writer.reasons()?["event-writer"]
            .as_str()?
            .contains("assignment")
            .then_some(())
    })?;

    let value = event(
        "invoked",
        &json!(["https://claimxperience.com/a.pdf?X-Amz-Signature=PLANTED"]),
    );
    // The second time at another offset: a redelivery by whoever calls.
    for offset in [3, 4] {
        assert_eq!(
            invoke(&writer, "/invoke", &batch("xact.events.raw", offset, "invoked", &value))?,
            [0; 0]
        );
    }
    let tables = tables::read(&dir.join("tables"))?;
    assert_eq!(tables.events.len(), 1, "{:?}", tables.events);
    let row = &tables.events[0];
    assert_eq!(
        (&row["event_id"], &row["event_date"]),
        (&ids::event_id("invoked").into(), &"2024-12-31".into())
    );
    assert!(!row.to_string().contains("PLANTED"), "{row}");
    let duplicates = writer.metrics()?.sum("delta_duplicate_rows_skipped_total", &[]);
    assert_eq!(duplicates, 1.0, "it is counted");
    // An unavailable broker does not prevent the process from ending.
    assert_eq!(writer.terminate(STOPPED)?, Some(0), "{}", writer.process.tail());
    Ok(())
}

/// Opens a connection and sends this much.
fn send(address: &str, bytes: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_write_timeout(Some(SOON)).unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    stream.write_all(bytes).unwrap();
    stream
}

/// The status line of what is answered.
fn status(stream: TcpStream) -> String {
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).unwrap();
    line
}

#[test]
fn floods_and_slow_callers_block_neither_messages_nor_probes() -> Result<()> {
    let dir = WorkDir::new("http")?;
    let pipeline = Pipeline::start(&[("INVOKE_TOKEN", TOKEN)], &dir)?;
    let address = pipeline.running.address.clone();
    let post = |token: &str, length: usize| {
        format!(
            "POST /invoke/event-ingester HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\nContent-Length: {length}\r\n\r\n"
        )
    };
    // Without the token no byte of the body is waited for.
    assert!(status(send(&address, post("wrong", 6_000_000).as_bytes())).contains("401"));
    assert!(status(send(&address, post(TOKEN, 7_000_000).as_bytes())).contains("413"));

    // Slow callers with the token: those beyond the limit are refused.
    let slow: Vec<TcpStream> = (0..8).map(|_| send(&address, post(TOKEN, 1000).as_bytes())).collect();
    wait_until(SOON, "all turns are taken", || {
        let answer = http::post(
            &address,
            "/invoke/event-ingester",
            &[("Authorization", &format!("Bearer {TOKEN}"))],
            b"x",
        );
        answer.ok().filter(|(status, _)| *status == 429)
    })?;

    // A flood without pause: connections that say nothing, and such that never end their headers.
    let stop = Arc::new(AtomicBool::new(false));
    let floods: Vec<_> = (0..4)
        .map(|number| {
            let (stop, address) = (Arc::clone(&stop), address.clone());
            thread::spawn(move || {
                let mut streams = VecDeque::new();
                while !stop.load(Ordering::Relaxed) {
                    if let Ok(mut stream) = TcpStream::connect(&address) {
                        if number % 2 == 0 {
                            let _ = stream.write_all(b"GET /metrics HTTP/1.1\r\nX: ");
                        }
                        streams.push_back(stream);
                    }
                    if streams.len() > 100 {
                        streams.pop_front();
                    }
                    thread::sleep(Duration::from_millis(1));
                }
            })
        })
        .collect();

    let broker = pipeline.broker()?;
    let records: Vec<(String, Vec<u8>)> = (0..50)
        .map(|number| {
            let trace_id = format!("flood-{number}");
            let url = format!("https://claimxperience.com/ok/9000/{number}/a.pdf");
            let event = event(&trace_id, &json!([url]));
            (trace_id, event)
        })
        .collect();
    kcat::produce_all(&broker, "xact.events.raw", &records)?;
    wait_no_lag(SOON, &broker, &dir)?;
    assert_eq!(pipeline.tables()?.attachments.len(), 50);
    for path in ["/health/live", "/health/ready", "/metrics"] {
        assert_eq!(pipeline.running.get(path)?.0, 200, "{path}");
    }
    stop.store(true, Ordering::Relaxed);
    for flood in floods {
        flood.join().unwrap();
    }
    drop(slow);
    Ok(())
}

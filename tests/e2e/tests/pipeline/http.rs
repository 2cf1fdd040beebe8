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

use xact_testkit::events::event;
use xact_testkit::{Fleet, Kafka, Pipeline, Result, Running, WorkDir, assert_contains, http, ids, ports, stages};

/// Time limit of the reads and writes of a connection.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(60);
const TOKEN: &str = "PLANTED-invoke-token";

#[test]
fn every_handler_is_live_without_a_broker_and_ready_with_one() -> Result<()> {
    let mut kafka = Kafka::start()?;
    let mut fleet = Fleet::new(kafka.bootstrap(), "http", &[])?;
    kafka.kill()?;
    for stage in stages::names() {
        fleet.spawn(stage, stage, &[])?;
    }
    fleet.spawn_with("worker", "xact-pipeline", &["--worker", "download"], &[])?;
    for (name, handler) in fleet.handlers() {
        handler.wait_until("the process is live", || {
            handler.get("/health/live").ok().filter(|answer| answer.0 == 200)
        })?;
        handler.wait_until("it is not ready, because the broker is missing", || {
            let reasons = handler.reasons()?.to_string();
            reasons.contains("no broker answers").then_some(())
        })?;
        // Its own state is reported as well: the stage's name is a component.
        let stage = if name == "worker" { "download" } else { name.as_str() };
        let reasons = handler.reasons().unwrap();
        assert!(reasons[stage].is_string(), "{name}: {reasons}");
        handler.metrics()?;
    }

    kafka.restart()?;
    let names: Vec<String> = fleet.handlers().keys().cloned().collect();
    fleet.wait_ready(&names)?;
    for (name, handler) in fleet.handlers() {
        let (status, body) = handler.get("/health/ready")?;
        let body: Value = serde_json::from_str(&body).unwrap();
        assert_eq!((status, body), (200, json!({"ready": true, "reasons": {}})));
        // A second member of a group is ready before the first one has handed over its share.
        handler.wait_until("it has partitions", || {
            let partitions = handler.sum("kafka_consumer_assigned_partitions", &[]).ok()?;
            (partitions > 0.0).then_some(())
        })?;
        // The path does not exist while no token is set, whatever is sent.
        let anybody = [("Authorization", "Bearer guess")];
        assert_eq!(
            http::post(&handler.address, "/invoke", &anybody, b"{}")?.0,
            404,
            "{name}"
        );
        assert_eq!(handler.get("/nothing")?.0, 404);
    }
    fleet.stop(&names)
}

/// Returns a batch in the format of Lambda, of one record with this value.
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

/// Sends POST with the token. Returns the offsets that must be sent again.
fn invoke(running: &Running, path: &str, body: &[u8]) -> Result<Vec<i64>> {
    let bearer = format!("Bearer {TOKEN}");
    let (status, answer) = http::post(&running.address, path, &[("Authorization", &bearer)], body)?;
    assert_eq!(status, 200, "{answer}");
    let answer: Value = serde_json::from_str(&answer).unwrap();
    let failures = answer["batchItemFailures"].as_array().unwrap().iter();
    let offset = |failure: &Value| failure["itemIdentifier"]["offset"].as_i64().unwrap();
    Ok(failures.map(offset).collect())
}

#[test]
fn invoke_requires_the_token_and_a_readable_batch() -> Result<()> {
    let dir = WorkDir::new("http")?;
    let pipeline = Pipeline::start(&[("INVOKE_TOKEN", TOKEN)], &dir)?;
    let event = event("t", &json!(["https://claimxperience.com/a.pdf"]));
    let good = batch("xact.events.raw", 0, "t", &event);
    let post = |path: &str, token: Option<&str>, body: &[u8]| {
        let bearer = token.map(|token| format!("Bearer {token}"));
        let headers: Vec<(&str, &str)> = bearer.iter().map(|bearer| ("Authorization", bearer.as_str())).collect();
        http::post(&pipeline.running.address, path, &headers, body)
    };
    let wrong = ["", "wrong", "PLANTED-invoke-toke", "PLANTED-invoke-token2"];
    for token in wrong.map(Some).into_iter().chain([None]) {
        let (status, answer) = post("/invoke/event-ingester", token, &good)?;
        assert_eq!(status, 401, "{token:?}: {answer}");
        assert!(answer.contains("INVOKE_TOKEN") && !answer.contains(TOKEN), "{answer}");
        assert_eq!(post("/invoke", token, &good)?.0, 401);
    }
    let not_base64 = String::from_utf8(good.clone()).unwrap();
    let not_base64 = not_base64.replace(&STANDARD.encode("t"), "%%");
    for (body, complaint) in [
        (&b""[..], "Lambda Kafka event"),
        (b"[]", "Lambda Kafka event"),
        (b"{\"records\":{\"t-0\":[{}]}}", "topic"),
        (not_base64.as_bytes(), "base64"),
    ] {
        let (status, answer) = post("/invoke/event-ingester", Some(TOKEN), body)?;
        assert_eq!(status, 400, "{}: {answer}", String::from_utf8_lossy(body));
        assert_contains(&answer, &[complaint]);
    }
    // The request must name one of the seven handlers.
    let (status, answer) = post("/invoke", Some(TOKEN), &good)?;
    assert!(
        status == 400 && answer.contains("/invoke/{worker}"),
        "{status}: {answer}"
    );
    assert_eq!(post("/invoke/nobody", Some(TOKEN), &good)?.0, 404);
    // None of these events was processed.
    assert_eq!(pipeline.running.sum("kafka_events_ingested_total", &[])?, 0.0);
    Ok(())
}

#[test]
fn invoked_handlers_behave_as_on_kafka() -> Result<()> {
    let dir = WorkDir::new("http")?;
    let pipeline = Pipeline::start(&[("INVOKE_TOKEN", TOKEN)], &dir)?;
    let running = &pipeline.running;
    let ingest = |offset, trace_id: &str, value: &[u8]| {
        let batch = batch("xact.events.raw", offset, trace_id, value);
        invoke(running, "/invoke/event-ingester", &batch)
    };
    let url = "https://claimxperience.com/ok/30000/x/scan.pdf";
    assert_eq!(
        ingest(0, "invoked", &event("invoked", &json!([url])))?,
        [0; 0],
        "an event"
    );
    let unreadable = ingest(1, "broken", b"{\"trace_id\":")?;
    assert_eq!(
        unreadable, [0; 0],
        "an unreadable event is dead-lettered, so it is finished"
    );

    let retry = |offset, trace_id: &str, retry_at: &str| {
        let value = task(trace_id, url, retry_at);
        let batch = batch("xact.downloads.pending.retry.1s", offset, trace_id, &value);
        invoke(running, "/invoke/retry-scheduler", &batch)
    };
    assert_eq!(
        retry(7, "early", "2099-01-01T00:00:00Z")?,
        [7],
        "not due: must be sent again"
    );
    assert_eq!(retry(8, "due", "2024-12-31T12:05:00Z")?, [0; 0], "due: it is produced");

    for name in ["invoked", "due"] {
        let file = pipeline
            .files()
            .join(format!("documentsReceived/A1/{name}/A1_scan.pdf"));
        running.wait_until(&format!("{} exists", file.display()), || file.is_file().then_some(()))?;
    }
    pipeline.wait_no_lag()?;
    let tables = pipeline.tables()?;
    let retries = |trace_id: &str| {
        let row = tables.attachments.iter().find(|row| row["trace_id"] == trace_id);
        row.map(|row| row["retry_count"].clone())
    };
    assert_eq!(tables.attachments.len(), 2);
    assert_eq!([retries("due"), retries("invoked")], [Some(json!(1)), Some(json!(0))]);
    let audit = pipeline.audit()?;
    assert_eq!(audit.len(), 1, "{audit:?}");
    assert_eq!(
        [&audit[0]["trace_id"], &audit[0]["stage"]],
        ["broken", "event-ingester"]
    );
    Ok(())
}

#[test]
fn an_event_writer_without_any_broker_writes_an_invoked_event_once() -> Result<()> {
    let nobody = format!("127.0.0.1:{}", ports::free()?);
    let mut fleet = Fleet::without_topics(&nobody, "http", &[("INVOKE_TOKEN", TOKEN)])?;
    fleet.spawn("event-writer", "event-writer", &[])?;
    fleet.wait_until("its worker runs", || {
        let reasons = fleet["event-writer"].reasons()?;
        reasons["event-writer"].as_str()?.contains("assignment").then_some(())
    })?;

    let url = "https://claimxperience.com/a.pdf?X-Amz-Signature=PLANTED";
    let value = event("invoked", &json!([url]));
    // The second time at another offset: the caller sends the event again.
    for offset in [3, 4] {
        let batch = batch("xact.events.raw", offset, "invoked", &value);
        assert_eq!(invoke(&fleet["event-writer"], "/invoke", &batch)?, [0; 0]);
    }
    let events = fleet.tables()?.events;
    assert_eq!(events.len(), 1, "{events:?}");
    let row = &events[0];
    let expected = [ids::event_id("invoked"), "2024-12-31".to_owned()];
    assert_eq!([&row["event_id"], &row["event_date"]], expected.each_ref());
    let duplicates = fleet["event-writer"].sum("delta_duplicate_rows_skipped_total", &[])?;
    assert_eq!(duplicates, 1.0, "it is counted");
    // An unavailable broker does not prevent the process from exiting.
    fleet.stop(&["event-writer"])
}

/// Opens a connection and sends these bytes.
fn send(address: &str, bytes: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_write_timeout(Some(CONNECTION_TIMEOUT)).unwrap();
    stream.set_read_timeout(Some(CONNECTION_TIMEOUT)).unwrap();
    stream.write_all(bytes).unwrap();
    stream
}

/// Returns the status line of the response.
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
    // Without the token the server does not wait for the body.
    assert!(status(send(&address, post("wrong", 6_000_000).as_bytes())).contains("401"));
    assert!(status(send(&address, post(TOKEN, 7_000_000).as_bytes())).contains("413"));

    // Slow callers with the token: those beyond the limit are refused.
    let slow: Vec<TcpStream> = (0..8).map(|_| send(&address, post(TOKEN, 1000).as_bytes())).collect();
    pipeline.running.wait_until("all concurrent calls are taken", || {
        let bearer = format!("Bearer {TOKEN}");
        let headers = [("Authorization", bearer.as_str())];
        let answer = http::post(&address, "/invoke/event-ingester", &headers, b"x");
        answer.ok().filter(|(status, _)| *status == 429)
    })?;

    // A flood without pause: connections that send nothing, and others that never end their headers.
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

    for number in 0..50 {
        let trace_id = format!("flood-{number}");
        let url = format!("https://claimxperience.com/ok/9000/{number}/a.pdf");
        pipeline.send(&trace_id, &event(&trace_id, &json!([url])))?;
    }
    pipeline.wait_no_lag()?;
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

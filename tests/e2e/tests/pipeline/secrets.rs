//! Searches everything that the pipeline writes for secrets: signatures, SAS tokens, a connection string, bearer tokens, a
//! client secret, passwords in URLs; in good events, hostile events, failures, panics and commands.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::{Value, json};

use xact_testkit::events::event;
use xact_testkit::namespace::connection_string;
use xact_testkit::pipeline::files_below;
use xact_testkit::secrets::{PLANTED, SIGNED, assert_no_bytes, assert_none};
use xact_testkit::{Fleet, Kafka, Result, http, kcat};

/// An OTLP/HTTP collector that keeps what it receives.
struct Collector {
    address: String,
    received: Arc<Mutex<Vec<u8>>>,
}

impl Collector {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let received = Arc::new(Mutex::new(Vec::new()));
        let keep = Arc::clone(&received);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let keep = Arc::clone(&keep);
                thread::spawn(move || take(stream, &keep));
            }
        });
        Self { address, received }
    }
}

/// Responds to every request of a connection with 200, and keeps the bodies.
fn take(mut stream: TcpStream, keep: &Mutex<Vec<u8>>) -> Option<()> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 65_536];
    loop {
        let end = loop {
            if let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
                break at + 4;
            }
            let length = stream.read(&mut buffer).ok().filter(|length| *length > 0)?;
            bytes.extend_from_slice(&buffer[..length]);
        };
        let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
        let (_, rest) = head.split_once("content-length:")?;
        let length: usize = rest.lines().next()?.trim().parse().ok()?;
        while bytes.len() < end + length {
            let length = stream.read(&mut buffer).ok().filter(|length| *length > 0)?;
            bytes.extend_from_slice(&buffer[..length]);
        }
        keep.lock().unwrap().extend(bytes.drain(..end + length).skip(end));
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").ok()?;
    }
}

/// Returns events whose attachments end in every way, each with its secrets.
fn events() -> Vec<(String, Vec<u8>)> {
    let presigned = |kind: &str, number: usize| {
        format!(
            "https://claimxperience.com/{kind}/9000/s{number}/a.pdf?X-Amz-Credential={PLANTED}%2F20240101%2Faws4_request&X-Amz-Security-Token={PLANTED}token&{SIGNED}"
        )
    };
    let kinds = [
        "ok",
        "missing",
        "forbidden",
        "unavailable",
        "unavailable-once",
        "throttled-once",
        "unauthorized-once",
        "truncated",
        "html",
        "wrong-type",
        "redirect",
        "redirect-away",
        "octet",
    ];
    let numbered = kinds.iter().enumerate();
    let mut urls: Vec<String> = numbered.map(|(number, kind)| presigned(kind, number)).collect();
    urls.extend([
        // Azure and claimx, and each of them in its own way.
        format!("https://claimxperience.com/ok/9000/azure/a.pdf?sv=2022&se=2999-01-01T00%3A00%3A00Z&sr=b&sig={PLANTED}%2Bx%3D"),
        format!("https://www.claimxperience.com/ok/9000/claimx/a.pdf?systemDate=1&expires=99999999999999&sign={PLANTED}"),
        // Refused: another host, a password, an expired one, no file, an address, a script.
        format!("https://evil.example/a.pdf?{SIGNED}"),
        format!("https://user:{PLANTED}password@claimxperience.com/a.pdf?{SIGNED}"),
        format!("https://claimxperience.com/a.pdf?X-Amz-Date=20200101T000000Z&X-Amz-Expires=60&{SIGNED}"),
        format!("https://claimxperience.com/a.exe?{SIGNED}"),
        format!("https://127.0.0.1/a.pdf?{SIGNED}#{PLANTED}"),
        format!("http://claimxperience.com/a.pdf?{SIGNED}"),
        format!("javascript:fetch('https://claimxperience.com/a.pdf?{SIGNED}')"),
        format!("https://claimxperience.com/a b.pdf?{SIGNED}"),
    ]);
    let event = |(number, url)| {
        let trace_id = format!("secret-{number}");
        (trace_id.clone(), event(&trace_id, &json!([url])))
    };
    let mut events: Vec<(String, Vec<u8>)> = urls.iter().enumerate().map(event).collect();
    let good = presigned("ok", 99);
    let elsewhere = json!({
        "trace_id": "elsewhere", "event_type": "documentsReceived", "event_subtype": "xact",
        "timestamp": "2024-12-31T12:00:00Z", "source_system": "e2e", "attachments": [good],
        "payload": {
            "assignmentId": "A1", "description": format!("see <{good}>"), "note": {"again": [good]},
            "author": format!("Bearer {PLANTED}bearer"), "contact": {"name": format!("AccountKey={PLANTED}key;")},
        },
        "metadata": {"callback": format!("https://elsewhere.example/?sig={PLANTED}"), "client_secret": format!("{PLANTED}secret")},
    });
    events.push(("elsewhere".to_owned(), elsewhere.to_string().into_bytes()));
    let no_assignment = json!({
        "trace_id": "no-assignment", "event_type": "documentsReceived", "event_subtype": "xact",
        "timestamp": "2024-12-31T12:00:00Z", "source_system": "e2e", "payload": {}, "attachments": [good],
    });
    events.push(("no-assignment".to_owned(), no_assignment.to_string().into_bytes()));
    // Truncated, and not text.
    let truncated = format!("{{\"trace_id\": \"cut\", \"url\": \"{good}");
    events.push(("cut".to_owned(), truncated.into_bytes()));
    events.push(("bytes".to_owned(), [b"\xff\xfe ", good.as_bytes()].concat()));
    events
}

/// Returns a dead letter without the parts that a replay needs.
fn without_original(letter: &Value) -> Value {
    let mut letter = letter.clone();
    let fields = letter.as_object_mut().unwrap();
    fields.remove("original_payload");
    if let Some(task) = fields.get_mut("original_task").and_then(Value::as_object_mut) {
        task.remove("attachment_url");
    }
    letter
}

/// Returns the attribute as it is encoded in an export: a `KeyValue` of <https://github.com/open-telemetry/opentelemetry-proto>.
fn service_name(name: &str) -> Vec<u8> {
    let length = u8::try_from(name.len()).unwrap();
    let before = [b"service.name".as_slice(), &[0x12, length + 2, 0x0a, length]].concat();
    [&before, name.as_bytes()].concat()
}

#[test]
fn secrets_are_only_in_the_topics_that_must_carry_them() -> Result<()> {
    let connection = connection_string("key");
    let kafka = Kafka::start_secured(&connection)?;
    let (address, certificate) = kafka.secured().unwrap();
    let collector = Collector::start();
    let token = format!("{PLANTED}-invoke-token");
    let mut fleet = Fleet::new(
        kafka.bootstrap(),
        "secrets",
        &[
            ("LOCAL_KAFKA_BOOTSTRAP_SERVERS", &address),
            ("LOCAL_KAFKA_SECURITY_PROTOCOL", "SASL_SSL"),
            ("LOCAL_KAFKA_CONNECTION_STRING", &connection),
            ("SSL_CERT_FILE", &certificate.display().to_string()),
            // Of the libraries as well.
            ("LOG_LEVEL", "debug,xact_runtime=trace,audit=info"),
            ("INVOKE_TOKEN", &token),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &format!("http://{}", collector.address)),
            (
                "OTEL_EXPORTER_OTLP_HEADERS",
                &format!("authorization=Bearer%20{PLANTED}otlp"),
            ),
            ("OTEL_BSP_SCHEDULE_DELAY", "200"),
        ],
    )?;
    let panics = "handle::download=3*off->1*panic(poisoned)->off";
    fleet.spawn("download", "download", &[("FAILPOINTS", panics)])?;
    fleet.spawn("upload", "upload", &[("OTEL_SERVICE_NAME", "our-uploads")])?;
    fleet.start(&[
        "event-ingester",
        "event-writer",
        "result-processor",
        "retry-scheduler",
        "dlq",
    ])?;
    // The lake refuses for a moment: its errors have paths in them.
    let files = fleet.files();
    fs::write(&files, "in the way").unwrap();
    let events = events();
    fleet.send_all("raw", events.iter().map(|(key, value)| (key, value)))?;
    fleet.wait_until("the upload reports that it cannot write", || fleet["upload"].reasons())?;
    fs::remove_file(&files).unwrap();
    fleet.wait_no_lag()?;

    // Guesses, and bodies that cannot be read.
    for (bearer, body) in [
        (format!("Bearer {PLANTED}guess"), "{}".to_owned()),
        (format!("Basic {PLANTED}guess"), String::new()),
        (
            format!("Bearer {token}"),
            format!("{{\"records\": \"https://a.example/?{SIGNED}\"}}"),
        ),
    ] {
        let path = format!("/invoke?code={PLANTED}");
        let headers = [("Authorization", bearer.as_str()), ("Cookie", PLANTED)];
        let (status, answer) = http::post(&fleet["download"].address, &path, &headers, body.as_bytes())?;
        assert!(matches!(status, 400 | 401), "{status}: {answer}");
        assert_none("an answer of /invoke", &answer);
    }
    for (name, running) in fleet.handlers() {
        for path in ["/health/live", "/health/ready", "/metrics"] {
            assert_eq!(running.get(path)?.0, 200, "{name} {path}");
        }
    }

    // Every command of an operator; its output is searched as it is read.
    let run = |args: &[&str]| fleet.run(args);
    let letters = fleet.messages("dlq")?;
    assert!(letters.len() > 15, "{}", letters.len());
    run(&["dlq", "list"])?.success()?;
    run(&["dlq", "list", "--json"])?.success()?;
    let listed = run(&["dlq", "list", "--json"])?.json_lines();
    for entry in &listed {
        let place = format!("{}:{}", entry["partition"], entry["offset"]);
        run(&["dlq", "view", &place])?.success()?;
        run(&["dlq", "view", &place, "--json"])?.success()?;
    }
    run(&["dlq", "replay", "--everything", "--dry-run"])?;
    run(&["topics", "lag"])?.success()?;
    run(&["offsets", "show", "--group", &fleet.group("upload-worker")])?;
    run(&["reconcile", "--from", "2024-12-31", "--to", "2025-01-01"])?;
    run(&["table", "info"])?.success()?;
    for (_, event) in &events {
        let Ok(event) = serde_json::from_slice::<Value>(event) else {
            continue;
        };
        run(&["explain", event["attachments"][0].as_str().unwrap()])?;
    }
    run(&["explain", &format!("nonsense {SIGNED}")])?.ended(1)?;
    let hostile = fleet.dir.join("hostile.json");
    fs::write(&hostile, format!("{{\"url\": \"https://a.example/?{SIGNED}")).unwrap();
    run(&["produce", hostile.to_str().unwrap()])?;

    // The functions that read tables and the audit log search them.
    let tables = fleet.tables()?;
    assert!(tables.events.len() >= events.len() - 2 && tables.attachments.len() >= 6 && tables.failed.len() > 10);
    assert!(!fleet.audit()?.is_empty());
    for letter in &letters {
        assert_none("a dead letter", &without_original(letter).to_string());
    }
    for result in fleet.messages("results")? {
        assert_none("a result", &result.to_string());
    }
    // Headers as well: kcat prints those of all records.
    for topic in ["raw", "pending", "cached", "results", "dlq"] {
        let keys = kcat::keys_and_headers(&fleet.broker, &fleet.topic(topic))?;
        assert!(keys.contains("traceparent") || topic == "raw", "{topic}: {keys}");
        assert_none(&format!("a key or header of {topic}"), &keys);
    }
    for path in files_below(&fleet.dir.join("files")) {
        assert_none("a path in the lake", &path.display().to_string());
    }
    // Processes end, and their spans with them; then their logs are searched.
    let names: Vec<String> = fleet.handlers().keys().cloned().collect();
    fleet.stop(&names)?;
    let traces = collector.received.lock().unwrap();
    assert!(
        traces.windows(8).any(|window| window == b"trace_id"),
        "no span was received"
    );
    let has = |part: &[u8]| traces.windows(part.len()).any(|window| window == part);
    for stage in ["event-ingester", "download", "result-processor"] {
        assert!(
            has(&service_name(&format!("xact-pipeline-{stage}"))),
            "{stage} has no span"
        );
    }
    assert!(has(&service_name("our-uploads")), "upload has no span");
    for other in ["xact-pipeline-upload", "unknown_service"] {
        assert!(!has(other.as_bytes()), "{other}");
    }
    assert_no_bytes("a trace", &traces);
    Ok(())
}

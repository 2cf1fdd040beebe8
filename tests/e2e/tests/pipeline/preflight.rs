//! `check` and `validate`, used as in a rollout: they pass where all is well, and each broken dependency is one failed line with
//! a remedy.

#![allow(clippy::unwrap_used)]

use std::net::TcpListener;
use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::one_lake;
use xact_testkit::managed_identity::Answer as Tokens;
use xact_testkit::namespace::{HOUR, Namespace};
use xact_testkit::one_lake::WORKSPACE;
use xact_testkit::stages::STAGES;
use xact_testkit::{Answer, Fleet, OneLakeServer, Pipeline, command, failed, variables};
use xact_testkit::{Kafka, Result, WorkDir, wait_until};

fn check(fleet: &Fleet, broken: &[(&str, &str)]) -> Result<Answer> {
    let mut environment = fleet.environment.clone();
    environment.extend(variables(broken));
    command(&["check", "--json"], environment, &fleet.dir)
}

/// Check and verdict of each line, with its text.
fn lines(answer: &Answer) -> Result<Vec<(String, String, String)>> {
    let list: Vec<Value> =
        serde_json::from_str(&answer.text).map_err(|error| failed(error.to_string(), answer.text.clone()))?;
    let text = |line: &Value, name: &str| line[name].as_str().unwrap_or_default().to_owned();
    let line = |line: &Value| (text(line, "check"), text(line, "verdict"), text(line, "text"));
    Ok(list.iter().map(line).collect())
}

/// A collector that takes whatever is sent to it.
fn collector(status: &'static str) -> String {
    use std::io::{Read, Write};
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.read(&mut [0; 2048]);
            let _ = write!(
                stream,
                "HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
            );
        }
    });
    format!("http://{address}")
}

#[test]
fn check_passes_and_then_fails_only_for_each_broken_dependency() -> Result<()> {
    let kafka = Kafka::shared()?;
    let fleet = Fleet::new(kafka.bootstrap(), "preflight", &[])?;
    fleet.create_topics()?;
    // A broker tells of new topics a moment after it has made them.
    wait_until(Duration::from_secs(20), "the topics are listed", || {
        let listed = command(&["topics", "list"], fleet.environment.clone(), &fleet.dir).ok()?;
        (listed.code == Some(0)).then_some(())
    })?;
    let answer = check(&fleet, &[("OTEL_EXPORTER_OTLP_ENDPOINT", &collector("200 OK"))])?;
    for (name, verdict, text) in lines(&answer)? {
        let expected = match name.as_str() {
            "identity" | "OneLake cost" => "skipped",
            _ => "ok",
        };
        assert_eq!(verdict, expected, "{name}: {text}");
    }
    assert_eq!(answer.code, Some(0));

    let in_the_way = fleet.dir.join("in-the-way");
    std::fs::write(&in_the_way, "a file where a folder must be").unwrap();
    let below = in_the_way.join("x").display().to_string();
    let refused = collector("404 Not Found");
    let broken: &[(&str, &str, &[&str], &str)] = &[
        (
            "KAFKA_DLQ_TOPIC",
            "nobody.made.this",
            &["topics, all on one cluster"],
            "nobody.made.this is missing",
        ),
        (
            "ONELAKE_BASE_PATH",
            &below,
            &["files"],
            "cannot write, rename and delete a test file",
        ),
        ("ONELAKE_BASE_PATH", "", &["files"], "ONELAKE_BASE_PATH is not set"),
        ("DELTA_EVENTS_TABLE_PATH", &below, &["table xact_events"], "in-the-way"),
        (
            "DELTA_INVENTORY_TABLE_PATH",
            "s3://x/y",
            &["table xact_attachments"],
            "DELTA_INVENTORY_TABLE_PATH",
        ),
        (
            "DELTA_FAILED_TABLE_PATH",
            &below,
            &["table xact_attachments_failed"],
            "cannot",
        ),
        ("CACHE_DIR", &below, &["cache"], "may write there"),
        ("AUDIT_LOG_PATH", &below, &["audit log"], "AUDIT_LOG_PATH"),
        (
            "OTEL_EXPORTER_OTLP_ENDPOINT",
            "http://127.0.0.1:1",
            &["traces"],
            "cannot be reached",
        ),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &refused, &["traces"], "4318"),
        ("DOWNLOAD_CONCURRENCY", "0", &["configuration"], "DOWNLOAD_CONCURRENCY"),
        (
            "LOCAL_KAFKA_BOOTSTRAP_SERVERS",
            "127.0.0.1:1",
            &["topics, all on one cluster", "groups"],
            "no broker answers",
        ),
    ];
    // Each waits for what does not answer: side by side.
    let answers: Vec<_> = thread::scope(|scope| {
        let fleet = &fleet;
        let running: Vec<_> = broken
            .iter()
            .map(|(name, value, ..)| scope.spawn(move || check(fleet, &[(*name, *value)])))
            .collect();
        running.into_iter().map(|check| check.join().unwrap()).collect()
    });
    for ((name, value, red, text), answer) in broken.iter().zip(answers) {
        let answer = answer?;
        assert_eq!(answer.code, Some(1), "{name}={value}: {}", answer.text);
        let lines = lines(&answer)?;
        let found: Vec<_> = lines.iter().filter(|line| line.1 == "failed").collect();
        let names: Vec<_> = found.iter().map(|line| line.0.as_str()).collect();
        assert_eq!(names, *red, "{name}={value}: {lines:#?}");
        assert!(
            found.iter().all(|line| line.2.contains(text)),
            "{name}={value}: {found:#?}"
        );
    }
    Ok(())
}

#[test]
fn validate_follows_an_event_to_its_file_and_rows_or_to_the_failure() -> Result<()> {
    let kafka = Kafka::shared()?;
    let fleet = Fleet::whole(kafka.bootstrap(), "validate", &[])?;
    let validate = |more: &[&str]| command(&[&["validate"], more].concat(), fleet.environment.clone(), &fleet.dir);
    let text = validate(&[])?.success()?;
    for step in [
        "event acknowledged",
        "event's row",
        "file downloaded",
        "attachment's row written",
        "file verified",
        "the pipeline works",
    ] {
        assert!(text.contains(step), "{step}: {text}");
    }
    let missing = validate(&["--attachment", "https://claimxperience.com/missing/1/x/x.pdf"])?;
    assert_eq!(missing.code, Some(1), "{}", missing.text);
    assert!(missing.text.contains("404"), "{}", missing.text);
    let refused = validate(&["--attachment", "https://evil.example/x.pdf?X-Amz-Signature=SECRET"])?;
    assert_eq!(refused.code, Some(2), "{}", refused.text);
    assert!(
        refused.text.contains("evil.example") && !refused.text.contains("SECRET"),
        "{}",
        refused.text
    );
    Ok(())
}

#[test]
fn validate_without_running_stages_names_what_to_check() -> Result<()> {
    let kafka = Kafka::shared()?;
    let fleet = Fleet::new(kafka.bootstrap(), "asleep", &[])?;
    fleet.create_topics()?;
    let answer = command(&["validate", "--timeout", "1"], fleet.environment.clone(), &fleet.dir)?;
    assert_eq!(answer.code, Some(1), "{}", answer.text);
    assert!(
        answer.text.contains("event acknowledged") && answer.text.contains("topics lag"),
        "{}",
        answer.text
    );
    Ok(())
}

/// Those lines of a check that are red: name and text.
fn red(answer: &Answer) -> Result<Vec<(String, String)>> {
    let lines = lines(answer)?.into_iter();
    Ok(lines
        .filter(|(_, verdict, _)| verdict == "failed")
        .map(|(name, _, text)| (name, text))
        .collect())
}

#[test]
fn check_and_validate_work_with_a_managed_identity() -> Result<()> {
    let namespace = Namespace::shared()?;
    let identity = namespace.identity("preflight", HOUR)?;
    let mut fleet = namespace.fleet("preflight-azure", namespace.by_identity(&identity))?;
    let lake = OneLakeServer::start(&fleet.dir)?;
    fleet.environment.extend(lake.variables(Some(namespace.certificate()))?);

    let answer = check(&fleet, &[])?;
    assert_eq!(red(&answer)?, [], "{}", answer.text);
    let found = lines(&answer)?;
    let text = |name: &str| {
        found
            .iter()
            .find(|line| line.0 == name)
            .map(|line| (line.1.as_str(), line.2.as_str()))
    };
    let (verdict, whose) = text("identity").unwrap();
    assert_eq!(verdict, "ok");
    assert!(
        whose.contains("managed identity") && whose.contains("https://storage.azure.com/.default"),
        "{whose}"
    );
    fleet.start(&STAGES.map(|(stage, _, _)| stage))?;
    let valid = command(&["validate"], fleet.environment.clone(), &fleet.dir)?.success()?;
    assert!(valid.contains("the pipeline works"), "{valid}");

    lake.admin(
        "POST",
        "closed",
        &serde_json::json!({"workspace": WORKSPACE}).to_string(),
    )?;
    let closed = red(&check(&fleet, &[])?)?;
    let names: Vec<_> = closed.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        names,
        [
            "files",
            "table xact_events",
            "table xact_attachments",
            "table xact_attachments_failed"
        ]
    );
    assert!(
        closed.iter().all(|(_, text)| text.contains("role Contributor")),
        "{closed:#?}"
    );
    lake.admin("DELETE", "closed", "")?;

    // Tokens that are over when they come, and an endpoint where nobody is: both are waited for, so side by side.
    identity.set(Tokens::Expired);
    let (refused, unreachable) = thread::scope(|scope| {
        let fleet = &fleet;
        let refused = scope.spawn(move || check(fleet, &[]));
        let nobody = [("IDENTITY_ENDPOINT", "http://127.0.0.1:1/msi/token")];
        let unreachable = scope.spawn(move || check(fleet, &nobody));
        (refused.join().unwrap(), unreachable.join().unwrap())
    });
    let (refused, unreachable) = (red(&refused?)?, red(&unreachable?)?);
    assert!(
        refused.iter().any(|(name, _)| name.starts_with("topics")),
        "{refused:#?}"
    );
    assert!(refused.iter().any(|(name, _)| name == "files"), "{refused:#?}");
    assert!(
        unreachable.iter().any(|(name, _)| name == "identity"),
        "{unreachable:#?}"
    );
    Ok(())
}

/// What the check of files and the checks of tables say.
type Expected<'a> = [(&'a str, &'a str); 2];

/// Faults of the emulator that hit every request which they are about.
const FAULTS: [(&str, Expected<'_>); 5] = [
    (
        r#"{"fault": "if-none-match-refused", "every": 1}"#,
        [
            ("failed", "it does not take a conditional write (If-None-Match)"),
            ("failed", "UnsupportedHeader"),
        ],
    ),
    (
        r#"{"fault": "if-none-match-ignored", "every": 1}"#,
        [
            ("warning", "If-None-Match: * was ignored"),
            ("failed", "two writers could overwrite each other's commits"),
        ],
    ),
    (
        r#"{"fault": "metadata-dropped", "every": 1}"#,
        [
            ("warning", "metadata is not kept: nothing is lost"),
            ("ok", "can be created"),
        ],
    ),
    (
        r#"{"fault": "conflict", "every": 1}"#,
        [
            (
                "failed",
                "409 BlobImmutableDueToPolicy: something other than the file forbids the change",
            ),
            ("failed", "xact_"),
        ],
    ),
    (
        r#"{"fault": "cut-before", "every": 1, "protocol": "blob"}"#,
        [
            (
                "failed",
                "The DFS endpoint answers: let the firewall, the proxy or the private endpoint pass the Blob endpoint",
            ),
            ("failed", "xact_"),
        ],
    ),
];

#[test]
fn check_reports_how_the_storage_differs_from_one_lake_and_what_it_costs() -> Result<()> {
    // Batches as they are delivered; the fleet's own are shorter.
    let (fleet, lake, _identity) = one_lake::fleet(
        "preflight-lake",
        &[("EVENT_BATCH_SECONDS", "5"), ("RESULT_BATCH_SECONDS", "5")],
    )?;
    wait_until(Duration::from_secs(20), "everything is ok", || {
        (check(&fleet, &[]).ok()?.code == Some(0)).then_some(())
    })?;
    let find = |answer: &Answer, name: &str| -> Result<(String, String)> {
        let line = lines(answer)?
            .into_iter()
            .find(|line| line.0.starts_with(name))
            .unwrap();
        Ok((line.1, line.2))
    };
    let answer = check(&fleet, &[])?;
    let (verdict, text) = find(&answer, "files")?;
    assert_eq!(verdict, "ok");
    let cost = "OneLake: 6 requests, 0.6608 CU seconds (write 4, other 1, delete 1); no file is renamed";
    assert!(text.contains(cost), "{text}");
    let (verdict, text) = find(&answer, "OneLake cost")?;
    assert_eq!(verdict, "ok", "{text}");
    assert!(text.contains("xact_events 5619, xact_attachments 5619"), "{text}");

    let answer = check(&fleet, &[("RESULT_BATCH_SECONDS", "0.5")])?;
    assert_eq!(answer.code, Some(0), "a warning is no failure: {}", answer.text);
    let (verdict, text) = find(&answer, "OneLake cost")?;
    assert_eq!(verdict, "warning");
    assert!(
        text.contains("RESULT_BATCH_SECONDS=0.5: 172800 commits a day"),
        "{text}"
    );

    for (rule, expected) in FAULTS {
        lake.admin("POST", "faults", rule)?;
        let answer = check(&fleet, &[])?;
        lake.admin("DELETE", "faults", "")?;
        let found = [find(&answer, "files")?, find(&answer, "table xact_events")?];
        for ((verdict, text), (expected, part)) in found.iter().zip(expected) {
            assert_eq!(verdict, expected, "{rule}: {text}");
            assert!(text.contains(part), "{rule}: {text}");
        }
        let has_failed = expected.iter().any(|(verdict, _)| *verdict == "failed");
        assert_eq!(answer.code, Some(i32::from(has_failed)), "{rule}: {}", answer.text);
        assert_eq!(
            std::fs::read_dir(fleet.files()).unwrap().count(),
            0,
            "{rule}: the test file is deleted"
        );
    }
    Ok(())
}

#[test]
fn check_and_validate_work_in_development() -> Result<()> {
    let dir = WorkDir::new("preflight-dev")?;
    let pipeline = Pipeline::start(&[], &dir)?;
    // As the banner says: `set -a; . RUN/environment`.
    let file = std::fs::read_to_string(pipeline.folder().join("environment")).unwrap();
    let lines = file.lines().filter_map(|line| line.split_once('='));
    let environment: Vec<_> = lines
        .map(|(name, value)| (name.to_owned(), value.trim_matches('\'').to_owned()))
        .collect();
    let checked = command(&["check"], environment.clone(), &dir)?.success()?;
    assert!(checked.contains("ok      cache"), "{checked}");
    let valid = command(&["validate"], environment, &dir)?.success()?;
    assert!(valid.contains("the pipeline works"), "{valid}");
    Ok(())
}

//! `check` and `validate`, used as in a rollout: they pass where all is well, and each broken dependency is one failed line with
//! a remedy.

#![allow(clippy::unwrap_used)]

use std::net::TcpListener;
use std::thread;

use serde_json::json;

use crate::one_lake;
use xact_testkit::managed_identity::Answer as Tokens;
use xact_testkit::namespace::{HOUR, Namespace};
use xact_testkit::one_lake::WORKSPACE;
use xact_testkit::{Answer, Fleet, Kafka, OneLakeServer, Pipeline, Result, WorkDir, assert_contains, command};

fn check(fleet: &Fleet, broken: &[(&str, &str)]) -> Result<Answer> {
    fleet.run_with(&["check", "--json"], broken)
}

/// A line of the result of a check.
#[derive(Debug, PartialEq)]
struct Line {
    check: String,
    verdict: String,
    text: String,
}

fn lines(answer: &Answer) -> Result<Vec<Line>> {
    let list = answer.json()?;
    let line = |line: &serde_json::Value| {
        let text = |name: &str| line[name].as_str().unwrap_or_default().to_owned();
        Line {
            check: text("check"),
            verdict: text("verdict"),
            text: text("text"),
        }
    };
    Ok(list.as_array().into_iter().flatten().map(line).collect())
}

/// Returns the lines whose verdict is `failed`.
fn failed_lines(answer: &Answer) -> Result<Vec<Line>> {
    let mut lines = lines(answer)?;
    lines.retain(|line| line.verdict == "failed");
    Ok(lines)
}

fn names(lines: &[Line]) -> Vec<&str> {
    lines.iter().map(|line| line.check.as_str()).collect()
}

/// Returns the line of the check whose name begins with `name`.
fn find(answer: &Answer, name: &str) -> Result<Line> {
    let mut lines = lines(answer)?.into_iter();
    Ok(lines.find(|line| line.check.starts_with(name)).unwrap())
}

/// Starts a collector that accepts whatever is sent to it.
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
    let fleet = Fleet::shared("preflight", &[])?;
    let answer = check(&fleet, &[("OTEL_EXPORTER_OTLP_ENDPOINT", &collector("200 OK"))])?;
    for line in lines(&answer)? {
        let expected = match line.check.as_str() {
            "identity" | "OneLake cost" => "skipped",
            _ => "ok",
        };
        assert_eq!(line.verdict, expected, "{line:?}");
    }
    assert_eq!(answer.code, Some(0));
    let unset = check(&fleet, &[("DELTA_RECONCILIATION_TABLE_PATH", "")])?;
    let line = find(&unset, "table xact_reconciliation")?;
    let told = (line.verdict, line.text);
    assert_eq!(
        told,
        ("skipped".into(), "DELTA_RECONCILIATION_TABLE_PATH is not set".into())
    );

    let in_the_way = fleet.dir.join("in-the-way");
    std::fs::write(&in_the_way, "a file where a folder must be").unwrap();
    let below = in_the_way.join("x").display().to_string();
    let refused = collector("404 Not Found");
    const TOPICS: &str = "topics, all on one cluster";
    let broken: [(&str, &str, &[&str], &str); 13] = [
        ("KAFKA_DLQ_TOPIC", "not.created", &[TOPICS], "not.created is missing"),
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
        (
            "DELTA_RECONCILIATION_TABLE_PATH",
            &below,
            &["table xact_reconciliation"],
            "cannot",
        ),
        ("CACHE_DIR", &below, &["cache"], "may write there"),
        ("AUDIT_LOG_PATH", &below, &["audit log"], "AUDIT_LOG_PATH"),
        (
            "OTEL_EXPORTER_OTLP_ENDPOINT",
            "http://127.0.0.1:1",
            &["collector"],
            "cannot be reached",
        ),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &refused, &["collector"], "4318"),
        ("DOWNLOAD_CONCURRENCY", "0", &["configuration"], "DOWNLOAD_CONCURRENCY"),
        (
            "LOCAL_KAFKA_BOOTSTRAP_SERVERS",
            "127.0.0.1:1",
            &[TOPICS, "groups"],
            "no broker answers",
        ),
    ];
    // Each waits for a dependency that does not respond: all at once.
    thread::scope(|scope| {
        let fleet = &fleet;
        let running = broken.map(|case| (case, scope.spawn(move || check(fleet, &[(case.0, case.1)]))));
        for ((name, value, checks, text), answer) in running {
            let answer = answer.join().unwrap()?;
            assert_eq!(answer.code, Some(1), "{name}={value}: {}", answer.text);
            let failed = failed_lines(&answer)?;
            assert_eq!(names(&failed), checks, "{name}={value}: {failed:#?}");
            let has_text = failed.iter().all(|line| line.text.contains(text));
            assert!(has_text, "{name}={value}: {failed:#?}");
        }
        Ok(())
    })
}

#[test]
fn validate_follows_an_event_to_its_file_and_rows_or_to_the_failure() -> Result<()> {
    let fleet = Fleet::whole(Kafka::shared()?.bootstrap(), "validate", &[])?;
    let validate = |url: &str| fleet.run(&["validate", "--attachment", url]);
    let steps = [
        "event acknowledged",
        "event's row",
        "file downloaded",
        "attachment's row written",
        "file verified",
        "the pipeline works",
    ];
    fleet.run(&["validate"])?.ended_with(0, &steps)?;
    validate("https://claimxperience.com/missing/1/x/x.pdf")?.ended_with(1, &["404"])?;
    let refused = validate("https://evil.example/x.pdf?X-Amz-Signature=SECRET")?.ended_with(2, &["evil.example"])?;
    assert!(!refused.contains("SECRET"), "{refused}");
    Ok(())
}

#[test]
fn validate_without_running_stages_names_what_to_check() -> Result<()> {
    let fleet = Fleet::shared("asleep", &[])?;
    let answer = fleet.run(&["validate", "--timeout", "1"])?;
    answer.ended_with(1, &["event acknowledged", "topics lag"]).map(drop)
}

#[test]
fn check_and_validate_work_with_a_managed_identity() -> Result<()> {
    let namespace = Namespace::shared()?;
    let identity = namespace.identity("preflight", HOUR)?;
    let mut fleet = namespace.fleet("preflight-azure", namespace.by_identity(&identity))?;
    let lake = OneLakeServer::start(&fleet.dir)?;
    fleet.environment.extend(lake.variables(Some(namespace.certificate()))?);

    let answer = check(&fleet, &[])?;
    assert_eq!(failed_lines(&answer)?, [], "{}", answer.text);
    let identity_line = find(&answer, "identity")?;
    assert_eq!(identity_line.verdict, "ok");
    let parts = ["managed identity", "https://storage.azure.com/.default"];
    assert_contains(&identity_line.text, &parts);
    fleet.start_all()?;
    fleet.run(&["validate"])?.ended_with(0, &["the pipeline works"])?;

    lake.admin("POST", "closed", &json!({"workspace": WORKSPACE}).to_string())?;
    let closed = failed_lines(&check(&fleet, &[])?)?;
    let tables = [
        "table xact_events",
        "table xact_attachments",
        "table xact_attachments_failed",
        "table xact_reconciliation",
    ];
    assert_eq!(names(&closed), [&["files"], &tables[..]].concat());
    let has_role = closed.iter().all(|line| line.text.contains("role Contributor"));
    assert!(has_role, "{closed:#?}");
    lake.admin("DELETE", "closed", "")?;

    // Expired tokens, and an endpoint at which nothing listens: both take time, so at once.
    identity.set(Tokens::Expired);
    let (expired, unreachable) = thread::scope(|scope| {
        let expired = scope.spawn(|| check(&fleet, &[]));
        let nobody = [("IDENTITY_ENDPOINT", "http://127.0.0.1:1/msi/token")];
        let unreachable = check(&fleet, &nobody);
        (expired.join().unwrap(), unreachable)
    });
    let (expired, unreachable) = (failed_lines(&expired?)?, failed_lines(&unreachable?)?);
    let has_topics = names(&expired).iter().any(|name| name.starts_with("topics"));
    assert!(has_topics && names(&expired).contains(&"files"), "{expired:#?}");
    assert!(names(&unreachable).contains(&"identity"), "{unreachable:#?}");
    Ok(())
}

/// Verdict and part of the text of the check of files, and of the check of a table.
type Expected<'a> = [(&'a str, &'a str); 2];

/// Faults of the emulator that hit every request of their kind.
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
    let settings = [("EVENT_BATCH_SECONDS", "5"), ("RESULT_BATCH_SECONDS", "5")];
    let (fleet, lake) = one_lake::fleet("preflight-lake", &settings)?;
    fleet.wait_until("everything is ok", || check(&fleet, &[]).ok()?.success().ok())?;
    let answer = check(&fleet, &[])?;
    let files = find(&answer, "files")?;
    assert_eq!(files.verdict, "ok");
    let cost = "OneLake: 6 requests, 0.6608 CU seconds (write 4, other 1, delete 1); no file is renamed";
    assert_contains(&files.text, &[cost]);
    let costs = find(&answer, "OneLake cost")?;
    assert_eq!(costs.verdict, "ok", "{costs:?}");
    assert_contains(&costs.text, &["xact_events 5619, xact_attachments 5619"]);

    let answer = check(&fleet, &[("RESULT_BATCH_SECONDS", "0.5")])?;
    assert_eq!(answer.code, Some(0), "a warning is not a failure: {}", answer.text);
    let costs = find(&answer, "OneLake cost")?;
    assert_eq!(costs.verdict, "warning");
    assert_contains(&costs.text, &["RESULT_BATCH_SECONDS=0.5: 172800 commits a day"]);

    for (rule, expected) in FAULTS {
        lake.admin("POST", "faults", rule)?;
        let answer = check(&fleet, &[])?;
        lake.admin("DELETE", "faults", "")?;
        let found = [find(&answer, "files")?, find(&answer, "table xact_events")?];
        for (line, (verdict, part)) in found.iter().zip(expected) {
            let is_expected = line.verdict == verdict && line.text.contains(part);
            assert!(is_expected, "{rule}: {line:?}, expected {verdict} {part:?}");
        }
        let has_failed = expected.iter().any(|(verdict, _)| *verdict == "failed");
        assert_eq!(answer.code, Some(i32::from(has_failed)), "{rule}: {}", answer.text);
        let left = std::fs::read_dir(fleet.files()).unwrap().count();
        assert_eq!(left, 0, "{rule}: the test file is deleted");
    }
    Ok(())
}

/// The checks that `--deep` adds.
const DEEP: [&str; 4] = ["null values", "consumer group", "conditional writes", "lakehouse"];

#[test]
fn check_deep_proves_what_only_the_services_can() -> Result<()> {
    let (mut fleet, lake) = one_lake::fleet("preflight-deep", &[])?;
    fleet.wait_until("everything is ok", || check(&fleet, &[]).ok()?.success().ok())?;
    let deep = || fleet.run(&["check", "--deep", "--json"]);
    let answer = deep()?;
    assert_eq!(answer.code, Some(0), "{}", answer.text);
    let parts = [
        "came back as null",
        "preflight-deep-check was joined",
        "If-None-Match: * refuses a second write, metadata is kept",
        "without schemas",
    ];
    for (name, part) in DEEP.into_iter().zip(parts) {
        let line = find(&answer, name)?;
        assert!(line.verdict == "ok" && line.text.contains(part), "{line:?}");
    }
    assert_contains(&find(&answer, "consumer group")?.text, &["the group was removed"]);
    let plain = check(&fleet, &[])?;
    assert_eq!(lines(&answer)?.len() - lines(&plain)?.len(), DEEP.len());
    let left = std::fs::read_dir(fleet.files()).unwrap().count();
    assert_eq!(left, 0, "the test file is deleted");

    for fault in ["if-none-match-ignored", "metadata-dropped"] {
        lake.admin("POST", "faults", &json!({"fault": fault, "every": 1}).to_string())?;
        let line = find(&deep()?, "conditional writes")?;
        lake.admin("DELETE", "faults", "")?;
        assert_eq!(line.verdict, "failed", "{fault}: {line:?}");
    }
    let missing = [("KAFKA_DLQ_TOPIC", "not.created")];
    let answer = fleet.run_with(&["check", "--deep", "--json"], &missing)?;
    let failed = failed_lines(&answer)?;
    for name in ["null values", "consumer group"] {
        assert!(names(&failed).contains(&name), "{failed:#?}");
    }

    // The records have no effect, on the commands and on the stage.
    assert!(fleet.run(&["dlq", "list", "--json"])?.json_lines().is_empty());
    fleet.start(&["dlq"])?;
    fleet.send("dlq", "foreign", b"somebody's note")?;
    fleet.wait_until("the foreign record is audited", || {
        fleet.audit().ok().filter(|lines| !lines.is_empty())
    })?;
    assert_eq!(fleet.audit()?.len(), 1);
    Ok(())
}

#[test]
fn tables_are_refused_where_their_lakehouse_does_not_show_them() -> Result<()> {
    const VARIABLES: [&str; 3] = [
        "DELTA_EVENTS_TABLE_PATH",
        "DELTA_INVENTORY_TABLE_PATH",
        "DELTA_FAILED_TABLE_PATH",
    ];
    let (fleet, lake) = one_lake::fleet("preflight-kinds", &[])?;
    fleet.wait_until("everything is ok", || check(&fleet, &[]).ok()?.success().ok())?;
    for (name, schemas) in [
        ("With.Lakehouse", true),
        ("Without.Lakehouse", false),
        ("Empty.Lakehouse", false),
    ] {
        let item = json!({"workspace": WORKSPACE, "name": name, "schemas": schemas});
        lake.admin("POST", "items", &item.to_string())?;
    }
    let (_, files) = fleet
        .environment
        .iter()
        .rfind(|(name, _)| name == "ONELAKE_BASE_PATH")
        .unwrap();
    let at = |item: &str, place: &str| {
        let (workspace, _) = files.split_once("/Lake.Lakehouse").unwrap();
        let table = |variable| (variable, format!("{workspace}/{item}/Tables/{place}{variable}"));
        VARIABLES.map(table)
    };
    let run = |args: &[&str], paths: &[(&str, String); 3]| {
        let paths: Vec<_> = paths.iter().map(|(name, path)| (*name, path.as_str())).collect();
        fleet.run_with(args, &paths)
    };
    // In this order: the tables that a green check makes room for show that the lakehouse has no schemas.
    for (item, place, verdict, part) in [
        ("Without.Lakehouse", "", "ok", "can be created"),
        ("Without.Lakehouse", "dbo/", "failed", "(XACT_FABRIC_SCHEMA=)"),
        ("With.Lakehouse", "", "failed", "(XACT_FABRIC_SCHEMA=dbo)"),
        ("With.Lakehouse", "dbo/", "ok", "can be created"),
        ("Empty.Lakehouse", "dbo/", "warning", "cannot be decided"),
        ("Empty.Lakehouse", "dbo/", "warning", "Nothing was written"),
    ] {
        let paths = at(item, place);
        let answer = run(&["check", "--deep", "--json"], &paths)?;
        for name in [
            "table xact_events",
            "table xact_attachments",
            "table xact_attachments_failed",
        ] {
            let line = find(&answer, name)?;
            let is_expected = line.verdict == verdict && line.text.contains(part);
            assert!(is_expected, "{item} {place}: {line:?}");
        }
        assert_eq!(find(&answer, "lakehouse")?.verdict, verdict, "{item} {place}");
        assert_eq!(answer.code, Some(i32::from(verdict == "failed")), "{}", answer.text);
        if verdict == "failed" {
            run(&["validate"], &paths)?.ended_with(2, &["Unidentified", part])?;
        }
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
    command(&["check"], environment.clone(), &dir)?.ended_with(0, &["ok      cache"])?;
    command(&["validate"], environment, &dir)?.ended_with(0, &["the pipeline works"])?;
    Ok(())
}

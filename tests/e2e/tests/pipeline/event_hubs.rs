//! Event Hubs as in production: TLS, a connection string or the tokens of a managed identity, the limits of a namespace; and
//! the messages when one of them is wrong.

#![allow(clippy::unwrap_used)]

use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use xact_testkit::command::run;
use xact_testkit::compare::assert_exactly_what_was_sent;
use xact_testkit::events::{event, good_event};
use xact_testkit::managed_identity::{Answer, ManagedIdentity};
use xact_testkit::namespace::{HOUR, Namespace, connection_string};
use xact_testkit::secrets::SIGNED;
use xact_testkit::sent::Sent;
use xact_testkit::stages::STAGES;
use xact_testkit::{Fleet, Running, Variables, command, kcat, variables};
use xact_testkit::{Result, WorkDir, wait_until};

const SOON: Duration = Duration::from_secs(60);

/// Life of a token in the test that uses several. Shorter ones would cause stalls by themselves.
const LIFE: Duration = Duration::from_secs(20);

/// The broker cuts connections that are idle for 8 s.
const IDLE: Duration = Duration::from_secs(12);

/// Maximum of warnings and errors that one process may log for one problem: the broker's, the stage's, the producer's.
const MOST_LINES: usize = 3;

fn start_all(fleet: &mut Fleet) -> Result<()> {
    fleet.start(&STAGES.map(|(stage, _, _)| stage))
}

/// Sends an event with two files; both must end in the lake.
fn send(fleet: &Fleet, sent: &mut Vec<Sent>) -> Result<()> {
    let trace_id = format!("event-{}", sent.len());
    let url = |name: &str| format!("https://claimxperience.com/ok/9000/{trace_id}/{name}.pdf?{SIGNED}");
    let event = event(&trace_id, &json!([url("a"), url("b")]));
    fleet.send("raw", &trace_id, &event)?;
    sent.push(Sent::read(&trace_id, &event));
    Ok(())
}

/// Everything that was sent is in the lake and in the tables, once, and nothing is left over.
fn assert_done(fleet: &Fleet, mut sent: Vec<Sent>) -> Result<()> {
    fleet.wait_no_lag(SOON)?;
    fleet.samples.fill_in(&mut sent)?;
    assert_exactly_what_was_sent(&sent, &fleet.tables()?, &fleet.files());
    assert_eq!(fleet.records("dlq")?, []);
    assert_eq!(fleet.cached(), Vec::<PathBuf>::new());
    Ok(())
}

/// Returns the warnings and errors in the process's log.
fn loud(running: &Running) -> Vec<String> {
    let log = running.process.log();
    let is_loud = |line: &&str| line.contains("\"level\":\"WARN\"") || line.contains("\"level\":\"ERROR\"");
    log.lines().filter(is_loud).map(str::to_owned).collect()
}

/// The longest of these tests, and by its name the first: the others run beside it.
#[test]
fn a_managed_identity_serves_the_pipeline_beyond_the_life_of_its_tokens() -> Result<()> {
    let namespace = Namespace::shared()?;
    let identity = namespace.identity("expiring", Answer::Tokens(LIFE))?;
    let mut fleet = namespace.fleet("by-identity", namespace.by_identity(&identity))?;
    start_all(&mut fleet)?;
    let log = fleet["download"].process.log();
    assert!(
        log.contains("system-assigned managed identity, from 127.0.0.1"),
        "{log}"
    );
    let mut sent = Vec::new();
    let begin = Instant::now();
    while begin.elapsed() < 2 * LIFE {
        send(&fleet, &mut sent)?;
        thread::sleep(Duration::from_secs(2));
    }
    fleet.wait_no_lag(SOON)?;
    // A long pause without messages, scaled down: idle connections are cut meanwhile.
    thread::sleep(IDLE);
    send(&fleet, &mut sent)?;
    assert_done(&fleet, sent)?;
    // Each process has used at least two tokens, without a warning.
    let given = identity.given();
    assert!(given.len() >= 2 * STAGES.len(), "{} tokens", given.len());
    for (name, running) in fleet.handlers() {
        assert_eq!(running.get("/health/ready")?.0, 200, "{name}");
        assert_eq!(loud(running), Vec::<String>::new(), "{name}");
        let log = running.process.log();
        let signature = |token: &String| token.rsplit('.').next().unwrap().to_owned();
        assert!(
            !given.iter().any(|token| log.contains(&signature(token))),
            "a token is in the log of {name}"
        );
    }
    Ok(())
}

#[test]
fn the_whole_pipeline_runs_by_connection_string_within_the_limits_of_a_namespace() -> Result<()> {
    let namespace = Namespace::shared()?;
    let mut fleet = namespace.fleet("by-key", namespace.by_connection_string())?;
    start_all(&mut fleet)?;
    let mut sent = Vec::new();
    for _ in 0..5 {
        send(&fleet, &mut sent)?;
    }
    assert_done(&fleet, sent)?;
    // Event Hubs takes no compressed batches and knows no transactions; and nobody made a topic by asking for it.
    for topic in ["pending", "cached", "results"] {
        let batches = namespace.kafka.batches(&fleet.topic(topic))?;
        assert!(!batches.is_empty(), "{topic}");
        for batch in batches {
            assert!(
                batch.contains("compresscodec: none") && batch.contains("isTransactional: false"),
                "{topic}: {batch}"
            );
        }
    }
    let topics = namespace.kafka.topics()?;
    assert!(!topics.contains(&"__transaction_state".to_owned()), "{topics:?}");
    Ok(())
}

/// A process with a connection problem, and the text that it must report.
struct Case {
    name: &'static str,
    variables: Variables,
    words: Vec<String>,
}

impl Case {
    fn new(name: &'static str, mut variables: Variables, changed: &[(&str, &str)], words: &[&str]) -> Self {
        variables.extend(xact_testkit::variables(changed));
        Self {
            name,
            variables,
            words: words.iter().map(|&words| words.to_owned()).collect(),
        }
    }
}

/// Client ids of user-assigned identities: one that may only write, one that may only read.
const WRITER: &str = "11111111-1111-4111-8111-111111111111";
const READER: &str = "22222222-2222-4222-8222-222222222222";

fn cases(namespace: &Namespace, identities: &[ManagedIdentity; 5]) -> Vec<Case> {
    let [good, expired, elsewhere, silent, other] = identities;
    let by_key = || namespace.by_connection_string();
    let by = |identity| namespace.by_identity(identity);
    let wrong = connection_string("wrong");
    let [_, (_, header)] = other.variables();
    let refused = "the token of the Azure identity is refused";
    vec![
        Case::new(
            "wrong-key",
            by_key(),
            &[
                ("EVENTHUB_CONNECTION_STRING", &wrong),
                ("LOCAL_KAFKA_CONNECTION_STRING", &wrong),
            ],
            &["credentials are refused", "authorization-rule keys list"],
        ),
        Case::new(
            "unknown-host",
            by_key(),
            &[
                ("EVENTHUB_BOOTSTRAP_SERVERS", "evhns-xact.invalid:9093"),
                ("LOCAL_KAFKA_BOOTSTRAP_SERVERS", "evhns-xact.invalid:9093"),
            ],
            &["name is unknown", "servicebus.windows.net:9093"],
        ),
        Case::new(
            "certificate",
            by_key(),
            &[("SSL_CERT_FILE", "")],
            &["certificate is not trusted", "SSL_CERT_FILE"],
        ),
        Case::new(
            "expired-token",
            by(expired),
            &[],
            &[refused, "has expired by the broker's clock"],
        ),
        Case::new(
            "token-for-another",
            by(elsewhere),
            &[],
            &[refused, "the namespace's own name"],
        ),
        Case::new(
            "no-token",
            by(silent),
            &[],
            &["there is no token of the Azure identity"],
        ),
        Case::new(
            "refused-header",
            by(good),
            &[("IDENTITY_HEADER", &header)],
            &["there is no token of the Azure identity", "refuses IDENTITY_HEADER"],
        ),
        Case::new(
            "no-role-to-receive",
            by(good),
            &[("AZURE_CLIENT_ID", WRITER)],
            &[
                "Azure Event Hubs Data Receiver",
                "troubles.events.raw",
                "may not have propagated yet",
                "az role assignment create",
                WRITER,
            ],
        ),
        Case::new(
            "no-role-to-send",
            by(good),
            &[("AZURE_CLIENT_ID", READER)],
            &[
                "Azure Event Hubs Data Sender",
                "event hub troubles.downloads.pending of 127.0.0.1",
                "az role assignment create",
                READER,
            ],
        ),
    ]
}

#[test]
fn each_connection_problem_is_reported_once_with_its_remedy() -> Result<()> {
    let namespace = Namespace::shared()?;
    let mut fleet = namespace.fleet("troubles", Vec::new())?;
    namespace.kafka.allow_to_receive(READER, &fleet.topic("raw"))?;
    namespace.kafka.allow_to_send(WRITER, "*")?;
    let identity = |name: &str, answer| namespace.identity(name, answer);
    let identities = [
        identity("good", HOUR)?,
        identity("expired", Answer::Expired)?,
        identity(
            "elsewhere",
            Answer::For("https://other.servicebus.windows.net".to_owned()),
        )?,
        identity("silent", Answer::Silence)?,
        identity("other", HOUR)?,
    ];
    fleet.send("raw", "event", &good_event("event"))?;
    let cases = cases(namespace, &identities);
    for case in &cases {
        let group = format!("troubles-{}", case.name);
        let mut settings: Vec<(&str, &str)> = vec![("EVENTHUB_CONSUMER_GROUP", &group)];
        settings.extend(
            case.variables
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_str())),
        );
        fleet.spawn(case.name, "event-ingester", &settings)?;
    }
    for case in &cases {
        let running = &fleet[case.name];
        let mut last = Value::Null;
        wait_until(SOON, &format!("{} says {:?}", case.name, case.words), || {
            last = running.reasons()?;
            let text = last.to_string();
            case.words.iter().all(|words| text.contains(words)).then_some(())
        })
        .map_err(|error| running.process.error(&format!("{error}: {last}")))?;
        assert_eq!(running.get("/health/live")?.0, 200, "{} lives", case.name);
    }
    // librdkafka has tried many times by now.
    for case in &cases {
        let lines = loud(&fleet[case.name]);
        assert!(
            (1..=MOST_LINES).contains(&lines.len()),
            "{} says so {} times: {lines:#?}",
            case.name,
            lines.len()
        );
    }
    // The roles are assigned: both resume by themselves, without a restart.
    namespace.kafka.allow_to_receive(WRITER, &fleet.topic("raw"))?;
    namespace.kafka.allow_to_send(READER, &fleet.topic("pending"))?;
    for name in ["no-role-to-receive", "no-role-to-send"] {
        fleet[name].wait_ready()?;
    }
    Ok(())
}

#[test]
fn invalid_variables_stop_the_start() -> Result<()> {
    let dir = WorkDir::new("variables")?;
    let hub = format!("{};EntityPath=other.hub", connection_string("right"));
    let address = ("EVENTHUB_BOOTSTRAP_SERVERS", "evhns-xact.servicebus.windows.net:9093");
    for (settings, words) in [
        (
            vec![address, ("EVENTHUB_CONNECTION_STRING", &hub)],
            "its EntityPath is \"other.hub\", but EVENTHUB_EVENTS_TOPIC is \"xact.events.raw\"",
        ),
        (
            vec![address, ("PATH", "/nowhere")],
            "EVENTHUB_CONNECTION_STRING is not set, so EVENTHUB_BOOTSTRAP_SERVERS is reached with the Azure identity",
        ),
        (
            vec![
                address,
                ("IDENTITY_ENDPOINT", "http://127.0.0.1:1/msi/token"),
                ("PATH", "/nowhere"),
            ],
            "IDENTITY_HEADER is not set",
        ),
    ] {
        let text = run("event-ingester", &[], variables(&settings), &dir)?.ended(2)?;
        assert!(text.contains(words), "{text}");
    }
    Ok(())
}

#[test]
fn with_an_identity_topics_are_checked_and_not_created() -> Result<()> {
    let namespace = Namespace::shared()?;
    let identity = namespace.identity("operator", HOUR)?;
    let fleet = namespace.fleet("looked-for", namespace.by_identity(&identity))?;
    let create = |environment: Variables| command(&["topics", "create"], environment, &fleet.dir);
    let text = create(fleet.environment.clone())?.success()?;
    assert!(text.contains("all topics exist"), "{text}");
    let mut missing = fleet.environment.clone();
    missing.extend(variables(&[("KAFKA_DLQ_TOPIC", "looked-for.nowhere")]));
    let text = create(missing.clone())?.ended(2)?;
    assert!(
        text.contains("missing: looked-for.nowhere") && text.contains("created by the deployment"),
        "{text}"
    );
    assert!(!namespace.kafka.topics()?.contains(&"looked-for.nowhere".to_owned()));
    // A command that fails to authenticate reports the reason as well.
    let silent = namespace.identity("silent-operator", Answer::Silence)?;
    let mut unknown = fleet.environment.clone();
    unknown.extend(variables(&silent.variables()));
    let text = command(&["topics", "list"], unknown, &fleet.dir)?.ended(2)?;
    assert!(text.contains("there is no token of the Azure identity"), "{text}");
    Ok(())
}

#[test]
fn a_message_near_the_size_limit_is_dead_lettered_and_blocks_no_other() -> Result<()> {
    let namespace = Namespace::shared()?;
    let identity = namespace.identity("large", HOUR)?;
    let mut fleet = namespace.fleet("large", namespace.by_identity(&identity))?;
    fleet.start(&["event-ingester", "dlq"])?;
    let large = |bytes: usize| {
        let event = |assignment: &str| {
            json!({
                "trace_id": "large", "event_type": "documentsReceived", "timestamp": "2024-12-31T12:00:00Z",
                "payload": {"assignmentId": assignment}, "attachments": ["https://evil.example/a.pdf"],
            })
            .to_string()
        };
        let around = event("").len();
        event(&"x".repeat(bytes - around)).into_bytes()
    };
    // The broker takes batches of 1,048,576 bytes, ours are of at most 1,000,000.
    let messages = [
        ("unreadable", vec![b'x'; 1_048_000]),
        ("large", large(990_000)),
        ("larger", large(1_048_000)),
    ];
    for (key, bytes) in &messages {
        let file = fleet.dir.join(key);
        std::fs::write(&file, bytes).unwrap();
        let (topic, file) = (fleet.topic("raw"), file.display().to_string());
        let largest = "message.max.bytes=1048576";
        kcat::kcat(
            &["-P", "-b", &fleet.broker, "-t", &topic, "-k", key, "-X", largest, &file],
            &[],
        )?;
        fleet.send("raw", key, &good_event(&format!("behind-{key}")))?;
    }
    wait_until(SOON, "all are expanded or dead letters", || {
        let done = fleet.records("pending").ok()?.len() == 3 && fleet.records("dlq").ok()?.len() == 3;
        done.then_some(())
    })
    .map_err(|error| fleet["event-ingester"].process.error(&error.to_string()))?;
    for letter in fleet.messages("dlq")? {
        let reason = letter["final_error"].as_str().unwrap();
        let expected = match letter["original_task"].is_object() {
            true => "ALLOWED_ATTACHMENT_DOMAINS",
            false => "unreadable event",
        };
        assert!(reason.contains(expected), "{reason}");
        assert!(
            letter["source"]["offset"].is_i64(),
            "it says where the whole message is"
        );
    }
    assert_eq!(fleet["event-ingester"].get("/health/ready")?.0, 200);
    Ok(())
}

//! Event Hubs as in production: TLS, a connection string or the tokens of a managed identity, the limits of a namespace; and
//! the messages when one of them is wrong.

#![allow(clippy::unwrap_used)]

use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use xact_testkit::command::run;
use xact_testkit::events::good_event;
use xact_testkit::managed_identity::{Answer, ManagedIdentity};
use xact_testkit::namespace::{HOUR, Namespace, connection_string};
use xact_testkit::secrets::SIGNED;
use xact_testkit::{Fleet, Result, Variables, WorkDir, assert_contains, kcat, stages, variables};

/// Lifetime of a token in the test that uses several. Shorter ones would cause stalls by themselves.
const TOKEN_LIFETIME: Duration = Duration::from_secs(20);

/// The broker cuts connections that are idle for 8 s.
const IDLE_PAUSE: Duration = Duration::from_secs(12);

/// Maximum of warnings and errors that one process may log for one problem: the broker's, the stage's, the producer's.
const MAX_LINES: usize = 3;

/// Sends an event with two files; both must end in the lake.
fn send(fleet: &mut Fleet) -> Result<()> {
    let trace_id = format!("event-{}", fleet.sent.len());
    let url = |name: &str| format!("https://claimxperience.com/ok/9000/{trace_id}/{name}.pdf?{SIGNED}");
    fleet.send_event(&trace_id, &json!([url("a"), url("b")]))
}

/// Everything that was sent is in the lake and in the tables, once, and nothing is left over.
fn assert_done(fleet: &mut Fleet) -> Result<()> {
    fleet.wait_no_lag()?;
    fleet.assert_exactly_what_was_sent()?;
    fleet.assert_nothing_is_left()
}

/// The longest of these tests, and by its name the first: the others run at the same time.
#[test]
fn a_managed_identity_serves_the_pipeline_beyond_the_life_of_its_tokens() -> Result<()> {
    let namespace = Namespace::shared()?;
    let identity = namespace.identity("expiring", Answer::Tokens(TOKEN_LIFETIME))?;
    let mut fleet = namespace.fleet("by-identity", namespace.by_identity(&identity))?;
    fleet.start_all()?;
    let log = fleet["download"].process.log();
    assert_contains(&log, &["system-assigned managed identity, from 127.0.0.1"]);
    let begin = Instant::now();
    while begin.elapsed() < 2 * TOKEN_LIFETIME {
        send(&mut fleet)?;
        thread::sleep(Duration::from_secs(2));
    }
    fleet.wait_no_lag()?;
    // A long pause without messages, scaled down: idle connections are cut meanwhile.
    thread::sleep(IDLE_PAUSE);
    send(&mut fleet)?;
    assert_done(&mut fleet)?;
    // Each process has used at least two tokens, without a warning.
    let given = identity.given();
    assert!(given.len() >= 2 * stages::names().len(), "{} tokens", given.len());
    for (name, running) in fleet.handlers() {
        assert_eq!(running.get("/health/ready")?.0, 200, "{name}");
        assert_eq!(running.warnings_after(0), [""; 0], "{name}");
        let log = running.process.log();
        let has_signature = |token: &String| log.contains(token.rsplit('.').next().unwrap());
        assert!(!given.iter().any(has_signature), "a token is in the log of {name}");
    }
    Ok(())
}

#[test]
fn the_whole_pipeline_runs_by_connection_string_within_the_limits_of_a_namespace() -> Result<()> {
    let namespace = Namespace::shared()?;
    let mut fleet = namespace.fleet("by-key", namespace.by_connection_string())?;
    fleet.start_all()?;
    for _ in 0..5 {
        send(&mut fleet)?;
    }
    assert_done(&mut fleet)?;
    // Event Hubs supports neither compressed batches nor transactions, and no topic was created implicitly.
    for topic in ["pending", "cached", "results"] {
        let batches = namespace.kafka.batches(&fleet.topic(topic))?;
        assert!(!batches.is_empty(), "{topic}");
        for batch in batches {
            assert_contains(&batch, &["compresscodec: none", "isTransactional: false"]);
        }
    }
    let topics = namespace.kafka.topics()?;
    assert!(!topics.contains(&"__transaction_state".to_owned()), "{topics:?}");
    Ok(())
}

/// A process with a connection problem, and parts of the reason that it must report.
struct Case {
    name: &'static str,
    variables: Variables,
    reason: Vec<&'static str>,
}

fn case<const N: usize>(name: &'static str, variables: Variables, reason: [&'static str; N]) -> Case {
    Case {
        name,
        variables,
        reason: reason.to_vec(),
    }
}

/// Client ids of user-assigned identities: one that may only write, one that may only read.
const WRITER: &str = "11111111-1111-4111-8111-111111111111";
const READER: &str = "22222222-2222-4222-8222-222222222222";

fn cases(namespace: &Namespace, identities: &[ManagedIdentity; 5]) -> Vec<Case> {
    let [good, expired, elsewhere, silent, other] = identities;
    let by_key = |changed: &[(&str, &str)]| [namespace.by_connection_string(), variables(changed)].concat();
    let by = |identity, changed: &[(&str, &str)]| [namespace.by_identity(identity), variables(changed)].concat();
    let key = connection_string("wrong");
    let key = ["EVENTHUB", "LOCAL_KAFKA"].map(|topics| (format!("{topics}_CONNECTION_STRING"), key.clone()));
    let host = "evhns-xact.invalid:9093";
    let host = [
        ("EVENTHUB_BOOTSTRAP_SERVERS", host),
        ("LOCAL_KAFKA_BOOTSTRAP_SERVERS", host),
    ];
    let [_, (_, header)] = other.variables();
    let refused = "the token of the Azure identity is refused";
    let no_token = "there is no token of the Azure identity";
    let assign = "az role assignment create";
    let (receiver, sender) = ("Azure Event Hubs Data Receiver", "Azure Event Hubs Data Sender");
    let hub = "event hub troubles.downloads.pending of 127.0.0.1";
    vec![
        case(
            "wrong-key",
            [namespace.by_connection_string(), key.to_vec()].concat(),
            ["credentials are refused", "authorization-rule keys list"],
        ),
        case(
            "unknown-host",
            by_key(&host),
            ["name is unknown", "servicebus.windows.net:9093"],
        ),
        case(
            "certificate",
            by_key(&[("SSL_CERT_FILE", "")]),
            ["certificate is not trusted", "SSL_CERT_FILE"],
        ),
        case(
            "expired-token",
            by(expired, &[]),
            [refused, "has expired by the broker's clock"],
        ),
        case(
            "token-for-another",
            by(elsewhere, &[]),
            [refused, "the namespace's own name"],
        ),
        case("no-token", by(silent, &[]), [no_token]),
        case(
            "refused-header",
            by(good, &[("IDENTITY_HEADER", &header)]),
            [no_token, "refuses IDENTITY_HEADER"],
        ),
        case(
            "no-role-to-receive",
            by(good, &[("AZURE_CLIENT_ID", WRITER)]),
            [
                receiver,
                "troubles.events.raw",
                "may not have propagated yet",
                assign,
                WRITER,
            ],
        ),
        case(
            "no-role-to-send",
            by(good, &[("AZURE_CLIENT_ID", READER)]),
            [sender, hub, assign, READER],
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
    let other = Answer::For("https://other.servicebus.windows.net".to_owned());
    let identities = [
        identity("good", HOUR)?,
        identity("expired", Answer::Expired)?,
        identity("elsewhere", other)?,
        identity("silent", Answer::Silence)?,
        identity("other", HOUR)?,
    ];
    fleet.send("raw", "event", &good_event("event"))?;
    let cases = cases(namespace, &identities);
    for case in &cases {
        let group = format!("troubles-{}", case.name);
        let mut settings: Vec<(&str, &str)> = vec![("EVENTHUB_CONSUMER_GROUP", &group)];
        settings.extend(case.variables.iter().map(|(name, value)| (&**name, &**value)));
        fleet.spawn(case.name, "event-ingester", &settings)?;
    }
    for case in &cases {
        let running = &fleet[case.name];
        running.wait_until(&format!("{} reports {:?}", case.name, case.reason), || {
            let text = running.reasons()?.to_string();
            case.reason.iter().all(|part| text.contains(part)).then_some(())
        })?;
        assert_eq!(running.get("/health/live")?.0, 200, "{}", case.name);
    }
    // librdkafka has tried many times by now.
    for case in &cases {
        let lines = fleet[case.name].warnings_after(0);
        assert!((1..=MAX_LINES).contains(&lines.len()), "{}: {lines:#?}", case.name);
    }
    // The roles are assigned: both resume by themselves, without a restart.
    namespace.kafka.allow_to_receive(WRITER, &fleet.topic("raw"))?;
    namespace.kafka.allow_to_send(READER, &fleet.topic("pending"))?;
    fleet.wait_ready(&["no-role-to-receive", "no-role-to-send"])
}

#[test]
fn invalid_variables_stop_the_start() -> Result<()> {
    let dir = WorkDir::new("variables")?;
    let hub = format!("{};EntityPath=other.hub", connection_string("right"));
    let address = ("EVENTHUB_BOOTSTRAP_SERVERS", "evhns-xact.servicebus.windows.net:9093");
    let nowhere = ("PATH", "/nowhere");
    let endpoint = ("IDENTITY_ENDPOINT", "http://127.0.0.1:1/msi/token");
    for (settings, words) in [
        (
            vec![address, ("EVENTHUB_CONNECTION_STRING", &hub)],
            "its EntityPath is \"other.hub\", but EVENTHUB_EVENTS_TOPIC is \"xact.events.raw\"",
        ),
        (
            vec![address, nowhere],
            "EVENTHUB_CONNECTION_STRING is not set, so EVENTHUB_BOOTSTRAP_SERVERS is reached with the Azure identity",
        ),
        (vec![address, endpoint, nowhere], "IDENTITY_HEADER is not set"),
    ] {
        run("event-ingester", &[], variables(&settings), &dir)?.ended_with(2, &[words])?;
    }
    Ok(())
}

#[test]
fn with_an_identity_topics_are_checked_and_not_created() -> Result<()> {
    let namespace = Namespace::shared()?;
    let identity = namespace.identity("operator", HOUR)?;
    let fleet = namespace.fleet("looked-for", namespace.by_identity(&identity))?;
    fleet.run(&["topics", "create"])?.ended_with(0, &["all topics exist"])?;
    let missing = fleet.run_with(&["topics", "create"], &[("KAFKA_DLQ_TOPIC", "looked-for.nowhere")])?;
    missing.ended_with(2, &["missing: looked-for.nowhere", "created by the deployment"])?;
    assert!(!namespace.kafka.topics()?.contains(&"looked-for.nowhere".to_owned()));
    // A command that fails to authenticate reports the reason as well.
    let silent = namespace.identity("silent-operator", Answer::Silence)?.variables();
    let silent = silent.each_ref().map(|(name, value)| (*name, value.as_str()));
    let no_token = "there is no token of the Azure identity";
    fleet
        .run_with(&["topics", "list"], &silent)?
        .ended_with(2, &[no_token])?;
    Ok(())
}

#[test]
fn a_message_near_the_size_limit_is_dead_lettered_and_blocks_no_other() -> Result<()> {
    let namespace = Namespace::shared()?;
    let identity = namespace.identity("large", HOUR)?;
    let mut fleet = namespace.fleet("large", namespace.by_identity(&identity))?;
    fleet.start(&["event-ingester", "dlq"])?;
    let event = |assignment: &str| {
        let event = json!({
            "trace_id": "large", "event_type": "documentsReceived", "timestamp": "2024-12-31T12:00:00Z",
            "payload": {"assignmentId": assignment}, "attachments": ["https://evil.example/a.pdf"],
        });
        event.to_string()
    };
    let large = |bytes: usize| event(&"x".repeat(bytes - event("").len())).into_bytes();
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
        let args = ["-k", key, "-X", "message.max.bytes=1048576", &file];
        kcat::produce_with(&fleet.broker, &topic, &args, &[])?;
        fleet.send("raw", key, &good_event(&format!("behind-{key}")))?;
    }
    fleet.wait_records("pending", 3)?;
    fleet.wait_records("dlq", 3)?;
    for letter in fleet.messages("dlq")? {
        let reason = letter["final_error"].as_str().unwrap();
        let is_task = letter["original_task"].is_object();
        let expected = if is_task {
            "ALLOWED_ATTACHMENT_DOMAINS"
        } else {
            "unreadable event"
        };
        assert_contains(reason, &[expected]);
        assert!(letter["source"]["offset"].is_i64(), "it names the whole message");
    }
    assert_eq!(fleet["event-ingester"].get("/health/ready")?.0, 200);
    Ok(())
}

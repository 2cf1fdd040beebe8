//! The scale rules of `bicep/`, evaluated by KEDA's own kafka scaler on a real broker while the handlers run as they do in Azure.
//! A stage has no replica while there is no lag, wakes for one message, is scaled by its lag, and goes back to zero.
//!
//! The scaler is a Go program (`tests/keda`): without Go, `tests/run` omits these tests and reports that.

#![allow(clippy::unwrap_used)]

mod principal;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::json;

use xact_testkit::events::{good_event, task};
use xact_testkit::groups::{self, Position};
use xact_testkit::keda::{Answer, Broker};
use xact_testkit::stages::{self, STAGES};
use xact_testkit::wait::TIMEOUT;
use xact_testkit::{
    Fleet, Kafka, Result, ScaleRules, WorkDir, assert_contains, context, failed, kcat, ports, wait_until,
};

const SHARED_KEY: &str =
    "Endpoint=sb://scaled.servicebus.windows.net/;SharedAccessKeyName=scaler;SharedAccessKey=PLANTED-scaler-key=";
/// The secrets of `bicep/modules/scaler-credentials.bicep`.
const SECRETS: [(&str, &str); 2] = [
    ("scaler-username", "$ConnectionString"),
    ("scaler-password", SHARED_KEY),
];
/// The delays that the names of the deployed retry topics stand for.
const SETTINGS: [(&str, &str); 1] = [("RETRY_DELAYS", "300,600,1200,2400")];
const RETRIES: [&str; 4] = ["5m", "10m", "20m", "40m"];

/// Returns the broker of all tests of this file. One of its addresses is open, the other requires the key.
fn broker() -> Result<&'static Kafka> {
    static BROKER: OnceLock<Result<Kafka>> = OnceLock::new();
    let broker = BROKER.get_or_init(|| Kafka::start_secured(SHARED_KEY));
    broker.as_ref().map_err(context("the broker"))
}

/// Returns KEDA's answers to rules that authenticate as they do in Azure.
fn ask_secured(rules: &ScaleRules, secrets: &[(&str, &str)]) -> Result<Vec<Answer>> {
    let (bootstrap, certificate) = broker()?.secured().unwrap();
    rules.ask(Broker::Secured {
        bootstrap: &bootstrap,
        certificate,
        secrets,
    })
}

/// A fleet and the scale rules for it.
struct Scaled {
    fleet: Fleet,
    rules: ScaleRules,
}

impl Scaled {
    /// Creates a fleet without processes.
    fn new(name: &str) -> Result<Self> {
        let fleet = Fleet::new(broker()?.bootstrap(), name, &SETTINGS)?;
        let rules = ScaleRules::deployed()?.of_fleet(name);
        let scaled = Self { fleet, rules };
        // A partition has a leader a moment after the topic is created.
        let mut last = String::new();
        let asked = scaled.fleet.wait_until("every rule can be evaluated", || {
            scaled.ask().map_err(|error| last = error.to_string()).ok()
        });
        asked.map_err(context(last))?;
        Ok(scaled)
    }

    /// Returns KEDA's answer to each rule.
    fn ask(&self) -> Result<Vec<Answer>> {
        answered(self.rules.ask(Broker::Open(&self.fleet.broker))?)
    }

    /// Returns KEDA's answers to the rules of one stage.
    fn ask_for(&self, stage: &str) -> Result<Vec<Answer>> {
        answered(self.rules.of_stage(stage).ask(Broker::Open(&self.fleet.broker))?)
    }

    /// Returns KEDA's answer to the only rule of a stage.
    fn only(&self, stage: &str) -> Result<Answer> {
        let answers = self.ask_for(stage)?;
        assert_eq!(answers.len(), 1, "{stage}");
        Ok(answers[0].clone())
    }

    /// Sends messages to one partition of a topic.
    fn send_to(&self, topic: &str, partition: u32, count: usize) -> Result<()> {
        let records = (0..count).map(|_| ("key", b"{}".as_slice()));
        kcat::produce_to(&self.fleet.broker, &self.fleet.topic(topic), Some(partition), records)
    }

    /// Returns the positions of the groups of its handlers.
    fn positions(&self) -> Result<BTreeMap<String, Vec<Position>>> {
        let mut all = groups::partitions(broker()?)?;
        all.retain(|group, _| STAGES.iter().any(|(_, theirs, _)| *group == self.fleet.group(theirs)));
        Ok(all)
    }

    /// Checks that every group of these stages has a committed offset in every partition of its topics, and it is the end.
    fn assert_drained(&self, stages: &[&str]) -> Result<()> {
        let positions = self.positions()?;
        for (stage, group, partitions) in STAGES.iter().filter(|(stage, _, _)| stages.contains(stage)) {
            let of_group = positions
                .get(&self.fleet.group(group))
                .map(Vec::as_slice)
                .unwrap_or_default();
            assert_eq!(of_group.len(), *partitions as usize, "{stage}: {of_group:?}");
            let is_drained = |it: &Position| it.committed.is_some() && it.committed == it.end;
            assert!(of_group.iter().all(is_drained), "{stage}: {of_group:?}");
        }
        Ok(())
    }
}

/// Returns the answers if all rules could be evaluated.
fn answered(answers: Vec<Answer>) -> Result<Vec<Answer>> {
    match answers.iter().find(|answer| answer.error.is_some()) {
        Some(answer) => Err(failed("KEDA could not be asked", format!("{answer:?}"))),
        None => Ok(answers),
    }
}

fn active(answers: &[Answer]) -> BTreeSet<&str> {
    let active = answers.iter().filter(|answer| answer.active);
    active.map(|answer| answer.app.as_str()).collect()
}

fn assert_asleep(answers: &[Answer]) {
    let is_asleep = |it: &Answer| !it.active && it.metric == 0 && it.replicas == 0;
    assert!(answers.iter().all(is_asleep), "{answers:?}");
}

fn now_ms() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

#[test]
fn keda_keeps_a_new_deployment_at_zero_and_handlers_commit_every_partition() -> Result<()> {
    let mut scaled = Scaled::new("fresh")?;
    let answers = scaled.ask()?;
    // Six stages read one topic each, the retry scheduler four.
    assert_eq!(answers.len(), 10);
    assert_eq!(scaled.positions()?, BTreeMap::new(), "no group has ever been there");
    assert_asleep(&answers);

    let stages = stages::names();
    scaled.fleet.start(&stages)?;
    assert_asleep(&scaled.ask()?);
    scaled.fleet.stop(&stages)?;
    assert_asleep(&scaled.ask()?);
    // No message was ever sent, and every partition has a position.
    scaled.assert_drained(&stages)?;
    let positions = scaled.positions()?;
    let is_start = |position: &Position| position.committed == Some(0);
    assert!(positions.values().flatten().all(is_start), "{positions:?}");
    Ok(())
}

/// Runs a stage exactly while its rule is active. This is stricter than KEDA, which waits five minutes before it removes the
/// last replica.
struct Autoscaler {
    scaled: Scaled,
    running: BTreeSet<&'static str>,
    woken: BTreeSet<&'static str>,
}

impl Autoscaler {
    /// Runs until no rule is active and no handler runs. Returns the stages that were woken meanwhile.
    fn run(&mut self) -> Result<BTreeSet<&'static str>> {
        self.woken.clear();
        let mut last = Vec::new();
        let asleep = wait_until(TIMEOUT, "every stage sleeps", || {
            last = match self.step() {
                Ok(answers) => answers,
                Err(error) => return Some(Err(error)),
            };
            (active(&last).is_empty() && self.running.is_empty()).then_some(Ok(()))
        });
        asleep.map_err(|error| failed(error.to_string(), format!("{last:#?}")))??;
        Ok(self.woken.clone())
    }

    fn step(&mut self) -> Result<Vec<Answer>> {
        let answers = self.ask()?;
        for (stage, _, _) in STAGES {
            let is_active = active(&answers).contains(stage);
            if is_active && self.running.insert(stage) {
                self.woken.insert(stage);
                self.scaled.fleet.spawn(stage, stage, &[])?;
            }
            if !is_active && self.running.remove(stage) {
                self.scaled.fleet.stop(&[stage])?;
            }
        }
        Ok(answers)
    }

    /// With the rules' own logon, as in Azure.
    fn ask(&self) -> Result<Vec<Answer>> {
        let answers = ask_secured(&self.scaled.rules, &SECRETS)?;
        assert!(answers.iter().all(|answer| answer.left_out.is_empty()), "{answers:?}");
        answered(answers)
    }
}

#[test]
fn keda_wakes_the_stages_in_turn_for_one_event_and_scales_them_to_zero() -> Result<()> {
    // The deployed names: the rules are evaluated unchanged.
    let mut autoscaler = Autoscaler {
        scaled: Scaled::new("xact")?,
        running: BTreeSet::new(),
        woken: BTreeSet::new(),
    };
    assert_eq!(autoscaler.scaled.rules, *ScaleRules::deployed()?);
    assert_asleep(&autoscaler.ask()?);

    autoscaler.scaled.fleet.send("raw", "one", &good_event("one"))?;
    let answers = autoscaler.ask()?;
    assert_eq!(active(&answers), BTreeSet::from(["event-ingester", "event-writer"]));
    for answer in answers.iter().filter(|answer| answer.active) {
        assert_eq!((answer.metric, answer.replicas), (1, 1), "{answer:?}");
    }
    let woken = [
        "event-ingester",
        "event-writer",
        "download",
        "upload",
        "result-processor",
    ];
    assert_eq!(autoscaler.run()?, BTreeSet::from(woken));
    autoscaler.scaled.assert_drained(&woken)?;

    // The ingester dead-letters an unreadable event; the writer counts it.
    autoscaler.scaled.fleet.send("raw", "unreadable", b"no event")?;
    let woken = ["event-ingester", "event-writer", "dlq"];
    assert_eq!(autoscaler.run()?, BTreeSet::from(woken));
    autoscaler.scaled.assert_drained(&woken)?;

    let fleet = &autoscaler.scaled.fleet;
    let tables = fleet.tables()?;
    assert_eq!(
        [tables.events.len(), tables.attachments.len(), tables.failed.len()],
        [1, 1, 0]
    );
    assert_eq!(fleet.audit()?.len(), 1);
    Ok(())
}

#[test]
fn keda_scales_by_lag_up_to_one_replica_for_each_partition() -> Result<()> {
    let scaled = Scaled::new("lag")?;
    // Of the download stage: one for 100 messages, six partitions. Sent evenly, in all so many of them. (The scaler's own
    // cap rounds down: `maxReplicas` is what makes six of 650.)
    let mut sent = 0;
    for (total, metric, replicas) in [
        (1, 1, 1),
        (100, 100, 1),
        (101, 101, 2),
        (250, 250, 3),
        (599, 599, 6),
        (650, 650, 6),
        (1000, 600, 6),
    ] {
        let mut of_partition = [0; 6];
        (sent..total).for_each(|number| of_partition[number % 6] += 1);
        for (partition, count) in (0..).zip(of_partition).filter(|(_, count)| *count > 0) {
            scaled.send_to("pending", partition, count)?;
        }
        sent = total;
        let answer = scaled.only("download")?;
        let found = (answer.active, answer.metric, answer.target, answer.replicas);
        assert_eq!(found, (true, metric, 100, replicas), "{total}");
    }
    // All in one partition of three: a second replica would find nothing to read.
    scaled.send_to("dlq", 1, 250)?;
    let answer = scaled.only("dlq")?;
    assert_eq!((answer.active, answer.metric, answer.replicas), (true, 100, 1));
    scaled.send_to("dlq", 0, 50)?;
    let answer = scaled.only("dlq")?;
    assert_eq!((answer.active, answer.metric, answer.replicas), (true, 200, 2));

    // Threshold and maximum of replicas of every stage are those of the page for operators.
    for answer in scaled.ask()? {
        let most = scaled.rules.most_replicas(&answer.app);
        assert_eq!(in_the_page(&answer.app), Some((answer.target, most)), "{answer:?}");
    }
    Ok(())
}

/// Returns threshold and maximum of replicas of a stage in `bicep/SCALING.md`.
fn in_the_page(stage: &str) -> Option<(u64, u64)> {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../bicep/SCALING.md")).unwrap();
    let row = page.lines().find(|line| line.starts_with(&format!("| `{stage}` |")))?;
    // stage, what it reads, threshold, most replicas, lag for all of them
    let cells: Vec<&str> = row.split('|').map(str::trim).collect();
    Some((cells[3].replace(',', "").parse().ok()?, cells[4].parse().ok()?))
}

#[test]
fn keda_keeps_the_retry_scheduler_active_exactly_while_a_task_waits() -> Result<()> {
    let mut scaled = Scaled::new("waiting")?;
    scaled.fleet.start(&["retry-scheduler"])?;
    assert_asleep(&scaled.ask_for("retry-scheduler")?);

    // One in each retry topic, due one after the other.
    let start = now_ms() + 4000;
    let mut due = BTreeMap::new();
    for (number, delay) in (0..).zip(RETRIES) {
        let at = start + number * 1500;
        let url = format!("https://claimxperience.com/ok/3000/{delay}/a.pdf");
        let topic = format!("pending.retry.{delay}");
        let task = task(delay, &url, &json!({"retry_at": at}));
        scaled.fleet.send(&topic, delay, &task)?;
        due.insert(delay, at);
    }
    let waiting = scaled.ask_for("retry-scheduler")?;
    assert!(
        waiting.len() == 4 && waiting.iter().all(|answer| answer.replicas == 1),
        "{waiting:?}"
    );

    let check = || -> Result<Option<()>> {
        let answers = scaled.ask_for("retry-scheduler")?;
        let asked = now_ms();
        let given_back = scaled.fleet.records("pending")?;
        for answer in answers.iter().filter(|answer| !answer.active) {
            // A rule is named after its topic.
            let delay = answer.rule.rsplit('-').next().unwrap();
            assert!(
                asked >= due[delay],
                "{delay} sleeps {} ms before it is due",
                due[delay] - asked
            );
            let is_given_back = given_back.iter().any(|record| record.key == delay);
            assert!(is_given_back, "{delay} sleeps and was not given back");
        }
        Ok(answers.iter().all(|answer| !answer.active).then_some(()))
    };
    scaled
        .fleet
        .wait_until("the retry scheduler sleeps", || check().transpose())??;
    assert_eq!(scaled.fleet.records("pending")?.len(), RETRIES.len());
    scaled.fleet.stop(&["retry-scheduler"])?;
    assert_asleep(&scaled.ask_for("retry-scheduler")?);
    scaled.assert_drained(&["retry-scheduler"])
}

/// Removes all records of a partition, as its retention does in time.
fn expire(topic: &str, partition: u32) -> Result<()> {
    let dir = WorkDir::new("expire")?;
    let file = dir.join("offsets.json");
    let offsets = json!({"version": 1, "partitions": [{"topic": topic, "partition": partition, "offset": -1}]});
    std::fs::write(&file, offsets.to_string()).unwrap();
    let output = broker()?.tool("DeleteRecordsCommand", &["--offset-json-file", file.to_str().unwrap()])?;
    assert_contains(&output, &["low_watermark"]);
    Ok(())
}

#[test]
fn keda_counts_expired_messages_as_lag_until_the_stage_has_run_once() -> Result<()> {
    let mut scaled = Scaled::new("expired")?;
    let pending = scaled.fleet.topic("pending");
    // Before the group ever read it (https://github.com/kedacore/keda/issues/7936), and behind a committed position.
    scaled.send_to("pending", 2, 50)?;
    expire(&pending, 2)?;
    for _ in 0..2 {
        let answer = scaled.only("download")?;
        assert_eq!((answer.active, answer.metric, answer.replicas), (true, 50, 1));
        scaled.fleet.start(&["download"])?;
        scaled.fleet.wait_until("the stage sleeps", || {
            let answer = scaled.only("download");
            answer.map(|answer| (!answer.active).then_some(())).transpose()
        })??;
        scaled.fleet.stop(&["download"])?;
        scaled.assert_drained(&["download"])?;
        scaled.send_to("pending", 2, 50)?;
        expire(&pending, 2)?;
    }
    Ok(())
}

#[test]
fn keda_keeps_the_replicas_when_it_cannot_read_the_lag_and_prints_no_secret() -> Result<()> {
    let kafka = broker()?;
    let rules = ScaleRules::deployed()?.of_fleet("never-created");
    // The credentials are removed for an open broker, and the answer lists that.
    let missing = rules.of_stage("download").ask(Broker::Open(kafka.bootstrap()))?;
    assert_eq!(missing[0].left_out, ["sasl", "tls", "auth"]);
    assert_contains(missing[0].error.as_ref().unwrap(), &["does not exist"]);

    let nobody = format!("127.0.0.1:{}", ports::free()?);
    let down = rules.of_stage("download").ask(Broker::Open(&nobody))?;
    assert!(down[0].error.is_some() && !down[0].active, "{down:?}");

    let wrong = [SECRETS[0], ("scaler-password", "PLANTED-wrong-key")];
    let refused = ask_secured(&rules.of_stage("download"), &wrong)?;
    let text = refused[0].error.as_ref().unwrap();
    assert!(!refused[0].active && !text.contains("PLANTED"), "{text}");
    Ok(())
}

#[test]
fn keda_does_not_support_an_azure_identity_for_kafka_yet() -> Result<()> {
    // What `scalerAuthentication = 'identity'` makes of the rules (https://github.com/kedacore/keda/pull/8070).
    let rules = ScaleRules::deployed()?
        .of_stage("download")
        .with("sasl", "oauthbearer")
        .with("saslTokenProvider", "azure_workload_identity");
    let answers = ask_secured(&rules, &SECRETS)?;
    let error = answers[0].error.as_ref().unwrap();
    assert_contains(error, &["token provider azure_workload_identity"]);
    Ok(())
}

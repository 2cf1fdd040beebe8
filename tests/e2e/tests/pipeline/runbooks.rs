//! The runbooks, followed step by step: each block of the language `sh` runs on a fleet that has lag, dead letters and tables, and
//! each command ends with the exit code that its comment states first.

#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use xact_testkit::events::{event, good_event};
use xact_testkit::{Fleet, Kafka, Result, command, failed, stages};

/// The stage that is stopped while the pages are followed, and its group.
const BEHIND: (&str, &str) = ("download", "xact-download-worker");
/// Events of [`event`] and [`good_event`] are of this date.
const DATES: (&str, &str) = ("2024-12-31", "2025-01-01");

/// What the pages write in capitals, and its value on the fleet. Other values depend on the state of the topics.
const CAPITALS: [(&str, &str); 7] = [
    ("STAGE", BEHIND.0),
    ("GROUP", BEHIND.1),
    ("TRACE_ID", "missing-0"),
    ("TIME", "2025-01-31T08:00:00Z"),
    ("DATE", DATES.0),
    ("NEXT_DATE", DATES.1),
    ("URL", "https://claimxperience.com/ok/2000/runbook/a.pdf"),
];

/// A line of a block.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    /// Arguments of `xact-pipeline`, and the exit code that is expected.
    Command(Vec<String>, i32),
    /// `infra/rollout stop`, with a stage.
    Stop(String),
    /// `infra/rollout start`, with a stage.
    Start(String),
}

/// Returns the steps of each `sh` block of a page. Panics for a line that could not be followed.
fn blocks(page: &str) -> Vec<Vec<Step>> {
    let parts = page.split("```").skip(1).step_by(2);
    let bodies = parts.filter_map(|block| block.strip_prefix("sh\n"));
    bodies
        .map(|body| {
            body.lines()
                .map(str::trim)
                .filter(|line| !line.is_empty())
                .map(step)
                .collect()
        })
        .collect()
}

fn step(line: &str) -> Step {
    let (command, comment) = line.split_once('#').unwrap_or((line, ""));
    let words: Vec<&str> = command
        .split_whitespace()
        // Where the output goes is the reader's business.
        .take_while(|word| !word.starts_with('>'))
        .collect();
    match words.as_slice() {
        ["infra/rollout", "stop", _, stage] => Step::Stop((*stage).to_owned()),
        ["infra/rollout", "start", _, stage] => Step::Start((*stage).to_owned()),
        ["xact-pipeline", arguments @ ..] => {
            let exit = comment
                .trim()
                .strip_prefix("exit ")
                .and_then(|rest| rest.get(..1)?.parse().ok());
            let exit = exit.unwrap_or_else(|| panic!("its comment must begin with `exit`: {line}"));
            Step::Command(arguments.iter().map(|&word| word.to_owned()).collect(), exit)
        }
        _ => panic!("it cannot run in a test, so it belongs into a block of another language: {line}"),
    }
}

/// Returns the pages by name.
fn pages() -> BTreeMap<String, String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../infra/runbooks");
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let name = |path: &PathBuf| path.file_name().unwrap().to_string_lossy().into_owned();
    files
        .map(|path| (name(&path), fs::read_to_string(&path).unwrap()))
        .collect()
}

/// A fleet in which one stage is stopped.
struct Scene {
    fleet: Fleet,
    stopped: BTreeSet<String>,
    events: usize,
    // Dropped after the processes.
    _kafka: Kafka,
}

impl Scene {
    fn new() -> Result<Self> {
        let kafka = Kafka::start()?;
        let fleet = Fleet::whole(kafka.bootstrap(), "xact", &[])?;
        for number in 0..6 {
            let trace_id = format!("missing-{number}");
            let url = format!("https://claimxperience.com/missing/1000/{trace_id}/a.pdf");
            fleet.send("raw", &trace_id, &event(&trace_id, &json!([url])))?;
        }
        // A replay is refused: the host is not allowed.
        let url = "https://example.com/a.pdf";
        fleet.send("raw", "forbidden", &event("forbidden", &json!([url])))?;
        fleet.send("raw", "good", &good_event("good"))?;
        fleet.wait_no_lag()?;
        Ok(Self {
            fleet,
            stopped: BTreeSet::new(),
            events: 0,
            _kafka: kafka,
        })
    }

    fn stop(&mut self, stage: &str) -> Result<()> {
        if self.stopped.insert(stage.to_owned()) {
            self.fleet.stop(&[stage])?;
        }
        Ok(())
    }

    fn start(&mut self, stage: &str) -> Result<()> {
        if self.stopped.remove(stage) {
            self.fleet.start(&[stage])?;
        }
        Ok(())
    }

    fn start_all(&mut self) -> Result<()> {
        stages::names().iter().try_for_each(|stage| self.start(stage))
    }

    /// Stops a stage and sends an event, so that its group has lag.
    fn fall_behind(&mut self) -> Result<()> {
        self.start_all()?;
        self.stop(BEHIND.0)?;
        let trace_id = format!("behind-{}", self.events);
        self.events += 1;
        self.fleet.send("raw", &trace_id, &good_event(&trace_id))?;
        self.fleet.wait_until("the group has lag", || {
            let groups = command::lag(&self.fleet.environment, &self.fleet.dir).ok()?;
            let is_behind = groups.iter().any(|(group, _, lag)| group == BEHIND.1 && *lag > 0);
            is_behind.then_some(())
        })
    }

    fn json_lines(&self, arguments: &[&str]) -> Result<Vec<Value>> {
        let answer = self.fleet.run(arguments)?;
        let lines = answer.json_lines();
        answer.success()?;
        Ok(lines)
    }

    /// Returns a dead letter that can be replayed, as `PARTITION:OFFSET`.
    fn entry(&self) -> Result<String> {
        let letters = self.json_lines(&["dlq", "list", "--json", "--stage", BEHIND.0])?;
        let is_missing = |letter: &&Value| letter["trace_id"].as_str().is_some_and(|id| id.starts_with("missing-"));
        let letter = letters.iter().find(is_missing).expect("a dead letter");
        Ok(format!("{}:{}", letter["partition"], letter["offset"]))
    }

    /// Returns topic, partition and offset of a record that the group reads next.
    fn next_record(&self) -> Result<[String; 3]> {
        let positions = self.json_lines(&["offsets", "show", "--json", "--group", BEHIND.1])?;
        let has_lag = |position: &&Value| position["lag"].as_u64() > Some(0);
        let position = positions.iter().find(has_lag).expect("lag");
        let text = |name: &str| position[name].to_string().trim_matches('"').to_owned();
        Ok(["topic", "partition", "committed"].map(text))
    }

    /// Returns the values of the words in capitals that a block has.
    fn values(&self, block: &[Step]) -> Result<BTreeMap<&'static str, String>> {
        let mut values: BTreeMap<&str, String> =
            CAPITALS.iter().map(|&(word, value)| (word, value.to_owned())).collect();
        let has = |word: &str| {
            let is_word = |argument: &String| argument == word;
            block
                .iter()
                .any(|step| matches!(step, Step::Command(arguments, _) if arguments.iter().any(is_word)))
        };
        if has("PARTITION:OFFSET") {
            values.insert("PARTITION:OFFSET", self.entry()?);
        }
        if has("PARTITION") {
            values.extend(["TOPIC", "PARTITION", "OFFSET"].into_iter().zip(self.next_record()?));
        }
        Ok(values)
    }

    fn follow(&mut self, page: &str, block: &[Step]) -> Result<()> {
        let values = self.values(block)?;
        let value = |word: &String| values.get(word.as_str()).unwrap_or(word).clone();
        for step in block {
            match step {
                Step::Stop(stage) => self.stop(&value(stage))?,
                Step::Start(stage) => self.start(&value(stage))?,
                Step::Command(arguments, exit) => {
                    if arguments[0] == "validate" {
                        self.start_all()?;
                    }
                    let arguments: Vec<String> = arguments.iter().map(value).collect();
                    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
                    let answer = self.fleet.run(&arguments)?;
                    answer
                        .ended(*exit)
                        .map_err(|error| failed(page, format!("{error:?}")))?;
                }
            }
        }
        Ok(())
    }
}

#[test]
fn every_command_of_the_runbooks_ends_as_its_page_states() -> Result<()> {
    let mut scene = Scene::new()?;
    let mut commands = 0;
    let pages = pages().into_iter().map(|(name, page)| (name, blocks(&page)));
    for (name, blocks) in pages.filter(|(_, blocks)| !blocks.is_empty()) {
        scene.fall_behind()?;
        for block in blocks {
            // A block that moves a position finds lag.
            let moves = |step: &Step| matches!(step, Step::Command(arguments, _) if arguments[0] == "offsets" && arguments[1] != "show");
            if block.iter().any(moves) {
                scene.fall_behind()?;
            }
            scene.follow(&name, &block)?;
            commands += block.len();
        }
    }
    assert!(commands > 60, "{commands}");

    // Resets, skips and replays have lost nothing, and no key has two rows.
    scene.start_all()?;
    scene.fleet.wait_no_lag()?;
    scene.fleet.tables()?;
    let day = ["reconcile", "--from", DATES.0, "--to", DATES.1];
    scene
        .fleet
        .run(&day)?
        .ended_with(0, &["Every attachment is in exactly one place."])?;
    Ok(())
}

#[test]
fn a_block_is_read_as_its_steps() {
    let page = "```sh\ninfra/rollout stop rg-xact-prod STAGE\nxact-pipeline check --json >check.json   # exit 1: a line\n```\n```bash\naz login\n```\n";
    let words = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
    let expected = vec![
        Step::Stop("STAGE".to_owned()),
        Step::Command(words(&["check", "--json"]), 1),
    ];
    assert_eq!(blocks(page), [expected]);
}

#[test]
#[should_panic(expected = "another language: az login")]
fn a_command_that_cannot_run_is_refused() {
    blocks("```sh\naz login\n```\n");
}

#[test]
#[should_panic(expected = "must begin with `exit`")]
fn a_command_without_its_exit_code_is_refused() {
    blocks("```sh\nxact-pipeline check    # everything\n```\n");
}

//! Who waits for whom, and how long a handler may take to leave.

use serde_json::Value;

use crate::stack::{SERVICES, handler, ours, read, service, texts, variable};
use xact_contracts::topology::STAGES;

const READY: &str = "service_healthy";
const DONE: &str = "service_completed_successfully";

fn waits<'a>(service: &'a Value, other: &str) -> Option<&'a str> {
    service["depends_on"][other]["condition"].as_str()
}

#[test]
fn handlers_come_after_the_topics_and_those_after_the_broker() {
    assert_eq!(waits(service("topics"), "kafka"), Some(READY));
    for row in &STAGES {
        assert_eq!(waits(service(row.name), "topics"), Some(DONE), "{}", row.name);
    }
}

#[test]
fn whoever_needs_a_server_comes_after_it() {
    for (name, service) in ours() {
        if variable(service, "ONELAKE_BASE_PATH").is_some() {
            assert_eq!(waits(service, "onelake"), Some(READY), "{name}");
        }
    }
    for name in ["attachment-source", "azurite"] {
        assert_eq!(waits(service("download"), name), Some(READY), "{name}");
    }
    for name in ["onelake", "attachment-source", "azurite"] {
        assert_eq!(waits(service(name), "certificates"), Some(DONE), "{name}");
    }
}

#[test]
fn jobs_that_are_waited_for_are_jobs() {
    for (name, service) in &*SERVICES {
        for (other, condition) in service["depends_on"].as_object().into_iter().flatten() {
            let is_job = SERVICES[other]["restart"] == "no";
            assert_eq!(condition["condition"] == DONE, is_job, "{name} waits for {other}");
        }
    }
}

#[test]
fn a_handler_has_time_to_drain_and_to_leave_its_group() {
    let example = read(".env.example");
    let grace = example
        .lines()
        .find_map(|line| line.strip_prefix("#SHUTDOWN_GRACE_SECONDS="))
        .unwrap();
    let least = grace.parse::<u64>().unwrap() + 5;
    for row in &STAGES {
        let given = service(row.name)["stop_grace_period"].as_str().unwrap();
        let given: u64 = given.trim_end_matches('s').parse().unwrap();
        assert!(given > least, "{}: {given} s", row.name);
    }
}

#[test]
fn the_operators_program_is_run_by_hand() {
    let pipeline = service("pipeline");
    assert_eq!(handler(pipeline), Some("pipeline"));
    assert_eq!(texts(&pipeline["profiles"]), ["tools"]);
    assert_eq!(waits(pipeline, "topics"), Some(DONE));
}

//! Start order of the services, and the time that a handler has to stop.

use serde_json::Value;

use crate::stack::{SERVICES, built_services, handler, read, service, texts, variable};
use xact_contracts::topology::STAGES;

const HEALTHY: &str = "service_healthy";
const COMPLETED: &str = "service_completed_successfully";

fn waits<'a>(service: &'a Value, other: &str) -> Option<&'a str> {
    service["depends_on"][other]["condition"].as_str()
}

#[test]
fn handlers_start_after_the_topics_and_the_broker() {
    assert_eq!(waits(service("topics"), "kafka"), Some(HEALTHY));
    for row in &STAGES {
        assert_eq!(waits(service(row.name), "topics"), Some(COMPLETED), "{}", row.name);
    }
}

#[test]
fn services_start_after_the_servers_they_need() {
    for (name, service) in built_services() {
        if variable(service, "ONELAKE_BASE_PATH").is_some() {
            assert_eq!(waits(service, "onelake"), Some(HEALTHY), "{name}");
        }
    }
    for name in ["attachment-source", "azurite"] {
        assert_eq!(waits(service("download"), name), Some(HEALTHY), "{name}");
    }
    for name in ["onelake", "attachment-source", "azurite"] {
        assert_eq!(waits(service(name), "certificates"), Some(COMPLETED), "{name}");
    }
}

#[test]
fn only_jobs_are_waited_for_until_they_complete() {
    for (name, service) in &*SERVICES {
        for (other, condition) in service["depends_on"].as_object().into_iter().flatten() {
            let is_job = SERVICES[other]["restart"] == "no";
            assert_eq!(condition["condition"] == COMPLETED, is_job, "{name} waits for {other}");
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
fn the_operators_program_starts_only_on_demand() {
    // Those of the deployment.
    let jobs = read("bicep/main.bicep");
    for name in ["maintain", "reconcile", "lag"] {
        let words = texts(&service(name)["command"]).join("', '");
        assert!(jobs.contains(&format!("arguments: ['{words}']")), "{name}");
    }
    let pipeline = service("pipeline");
    assert_eq!(handler(pipeline), Some("xact-pipeline"));
    assert_eq!(texts(&pipeline["profiles"]), ["tools"]);
    assert_eq!(waits(pipeline, "topics"), Some(COMPLETED));
}

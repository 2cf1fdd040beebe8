//! The systemd units. `tests/run` has systemd look at them; here is what systemd cannot know.

use crate::{text, variables};

const UNIT: &str = "infra/systemd/xact-pipeline@.service";

/// The values of a setting.
fn values(key: &str) -> Vec<String> {
    text(UNIT)
        .lines()
        .filter_map(|line| Some(line.strip_prefix(key)?.strip_prefix('=')?.to_owned()))
        .collect()
}

fn seconds(text: &str) -> u64 {
    text.parse()
        .unwrap_or_else(|_| panic!("{text} is no number of seconds"))
}

#[test]
fn systemd_waits_longer_than_the_worker_drains() {
    let environment = values("Environment");
    let grace = environment
        .iter()
        .find_map(|entry| entry.strip_prefix("SHUTDOWN_GRACE_SECONDS="))
        .unwrap();
    // Beyond the grace period the clients may take 5 seconds to leave their groups, and HTTP one to end.
    assert!(seconds(&values("TimeoutStopSec")[0]) > seconds(grace) + 6);
    assert_eq!(values("KillSignal"), ["SIGTERM"]);
}

#[test]
fn its_variables_are_those_of_the_program() {
    let variables = variables();
    let program = &values("ExecStart")[0];
    for entry in values("Environment") {
        let name = entry.split('=').next().unwrap();
        let is_argument = program.contains(&format!("${{{name}}}"));
        assert!(is_argument || variables.contains(&name.to_owned()), "{name}");
    }
}

#[test]
fn what_it_writes_is_below_its_state_directory() {
    let folders = values("StateDirectory").remove(0);
    let folders: Vec<&str> = folders.split(' ').collect();
    for entry in values("Environment") {
        if let Some((_, place)) = entry.split_once("=%S/") {
            assert!(folders.iter().any(|folder| place.starts_with(folder)), "{entry}");
        }
    }
    assert!(folders.contains(&"xact-pipeline/cache"));
    assert_eq!(values("ProtectSystem"), ["strict"]);
    assert!(values("ReadWritePaths").is_empty());
}

//! The systemd units: properties that `systemd-analyze verify` (run by `tests/run`) cannot check.

use crate::{text, variables};

const UNIT: &str = "infra/systemd/xact-pipeline@.service";

/// Returns the values of a setting.
fn values(key: &str) -> Vec<String> {
    text(UNIT)
        .lines()
        .filter_map(|line| Some(line.strip_prefix(key)?.strip_prefix('=')?.to_owned()))
        .collect()
}

fn seconds(text: &str) -> u64 {
    text.parse()
        .unwrap_or_else(|_| panic!("{text} is not a number of seconds"))
}

#[test]
fn the_stop_timeout_exceeds_the_grace_period() {
    let environment = values("Environment");
    let grace = environment
        .iter()
        .find_map(|entry| entry.strip_prefix("SHUTDOWN_GRACE_SECONDS="))
        .unwrap();
    // After the grace period, clients have 5 seconds to leave their groups, and the HTTP server has 1 second to stop.
    assert!(seconds(&values("TimeoutStopSec")[0]) > seconds(grace) + 6);
    assert_eq!(values("KillSignal"), ["SIGTERM"]);
}

#[test]
fn every_variable_of_the_unit_exists() {
    let variables = variables();
    let program = &values("ExecStart")[0];
    for entry in values("Environment") {
        let name = entry.split('=').next().unwrap();
        let is_argument = program.contains(&format!("${{{name}}}"));
        assert!(is_argument || variables.contains(&name.to_owned()), "{name}");
    }
}

#[test]
fn every_folder_is_below_the_state_directory() {
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

/// The jobs run the commands that Container Apps jobs run, with the restrictions of the workers.
#[test]
fn the_jobs_run_the_commands_of_the_deployment() {
    let job = text("infra/systemd/xact-pipeline-job@.service");
    let bicep = text("bicep/main.bicep");
    for name in ["maintain", "reconcile", "lag"] {
        let start = format!("Environment=\"{name}=");
        let command = job
            .lines()
            .find_map(|line| line.strip_prefix(&start)?.strip_suffix('"'));
        let words: Vec<String> = command.unwrap().split(' ').map(|word| format!("'{word}'")).collect();
        assert!(bicep.contains(&format!("arguments: [{}]", words.join(", "))), "{name}");
        let timer = text(&format!("infra/systemd/xact-pipeline-job@{name}.timer"));
        // As the schedules of the deployment.
        let calendar = timer.lines().find_map(|line| line.strip_prefix("OnCalendar=*-*-* "));
        let cron = match calendar
            .unwrap()
            .trim_end_matches(" UTC")
            .split(':')
            .collect::<Vec<_>>()[..]
        {
            ["*", every, _] => every.replace("00/", "*/") + " * * * *",
            [hour, minute, _] => format!("{minute} {} * * *", hour.trim_start_matches('0')),
            _ => panic!("{timer}"),
        };
        assert!(bicep.contains(&format!("{name}: '{cron}'")), "{name}: {cron}");
    }
    let restrictions = |unit: &str| -> Vec<String> {
        let (_, rest) = unit.split_once("\nNoNewPrivileges=").unwrap();
        let lines = rest.lines().take_while(|line| !line.starts_with('['));
        lines
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
            .map(str::to_owned)
            .collect()
    };
    assert_eq!(restrictions(&job), restrictions(&text(UNIT)));
}

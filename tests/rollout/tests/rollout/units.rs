//! The systemd units: properties that `systemd-analyze verify` (run by `tests/run`) cannot check.

use crate::{text, variables};

const UNIT: &str = "infra/systemd/xact-pipeline@.service";
const CONSOLE: &str = "infra/systemd/xact-pipeline-console.service";

/// Returns the values of a setting of the workers.
fn values(key: &str) -> Vec<String> {
    values_of(UNIT, key)
}

fn values_of(unit: &str, key: &str) -> Vec<String> {
    text(unit)
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
fn every_variable_of_a_unit_exists() {
    let variables = variables();
    for unit in [UNIT, CONSOLE] {
        let program = &values_of(unit, "ExecStart")[0];
        for entry in values_of(unit, "Environment") {
            let name = entry.split('=').next().unwrap();
            let is_argument = program.contains(&format!("${{{name}}}"));
            assert!(is_argument || variables.contains(&name.to_owned()), "{unit}: {name}");
        }
    }
}

#[test]
fn every_folder_is_below_the_state_directory() {
    for unit in [UNIT, CONSOLE] {
        let folders = values_of(unit, "StateDirectory").remove(0);
        let folders: Vec<&str> = folders.split(' ').collect();
        for entry in values_of(unit, "Environment") {
            if let Some((_, place)) = entry.split_once("=%S/") {
                assert!(
                    folders.iter().any(|folder| place.starts_with(folder)),
                    "{unit}: {entry}"
                );
            }
        }
        assert!(folders.contains(&"xact-pipeline/cache"), "{unit}");
        assert_eq!(values_of(unit, "ProtectSystem"), ["strict"], "{unit}");
        assert!(values_of(unit, "ReadWritePaths").is_empty(), "{unit}");
    }
}

/// Without a sign-in, which is the default, other machines must not reach it.
#[test]
fn the_console_is_for_its_own_machine_and_no_part_of_the_target() {
    let start = values_of(CONSOLE, "ExecStart").remove(0);
    assert!(
        start.ends_with("/xact-pipeline console --listen 127.0.0.1:8088"),
        "{start}"
    );
    let wanted_by = values_of(CONSOLE, "WantedBy");
    assert_eq!(wanted_by, ["multi-user.target"]);
    assert!(values_of(CONSOLE, "PartOf").is_empty());
    assert_eq!(values_of(CONSOLE, "User"), values("User"));
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
    assert_eq!(restrictions(&job), restrictions(&text(UNIT)));
}

/// Returns the settings of a unit that take rights away.
fn restrictions(unit: &str) -> Vec<String> {
    let (_, rest) = unit.split_once("\nNoNewPrivileges=").unwrap();
    let lines = rest.lines().take_while(|line| !line.starts_with('['));
    lines
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(str::to_owned)
        .collect()
}

#[test]
fn the_console_has_the_restrictions_of_the_workers() {
    assert_eq!(restrictions(&text(CONSOLE)), restrictions(&text(UNIT)));
    for limit in ["MemoryMax", "TasksMax", "LimitNOFILE", "LimitCORE"] {
        assert_eq!(values_of(CONSOLE, limit), values(limit), "{limit}");
    }
}

//! The jobs: commands of the operator's program, on a schedule or on demand.

use serde_json::{Value, json};

use crate::cli::IMAGE_TAG;
use crate::settings::{container, known_variables, variables};
use crate::snapshot::{Variant, last, list, text};

/// Returns a job by its tag.
pub(crate) fn job(variant: Variant, name: &str) -> Option<&'static Value> {
    let mut jobs = variant.snapshot().of_type("Microsoft.App/jobs");
    jobs.find(|job| job["tags"]["job"] == name)
}

/// Command of each job, seconds between two executions, and whether it has the paths of the lake.
const JOBS: [(&str, &[&str], u64, bool); 3] = [
    ("maintain", &["maintain", "--max-minutes", "30", "--json"], 86_400, true),
    (
        "reconcile",
        &["reconcile", "--yesterday", "--record", "--json"],
        86_400,
        true,
    ),
    ("lag", &["topics", "lag", "--oldest", "--json"], 900, false),
];

#[test]
fn each_job_runs_its_command_on_its_schedule() {
    for variant in [Variant::Dev, Variant::Prod, Variant::Private] {
        let count = variant.snapshot().of_type("Microsoft.App/jobs").count();
        assert_eq!(count, JOBS.len() + usize::from(variant.is_private()));
        for (name, command, interval, _) in JOBS {
            let job = job(variant, name).unwrap();
            assert_eq!(container(job)["args"], json!(command), "{name}");
            let configuration = &job["properties"]["configuration"];
            assert_eq!(configuration["triggerType"], "Schedule");
            let trigger = &configuration["scheduleTriggerConfig"];
            assert_eq!(
                (&trigger["parallelism"], &trigger["replicaCompletionCount"]),
                (&json!(1), &json!(1))
            );
            // Minute and hour as numbers: once a day. Lists and ranges were rejected for a while
            // (https://github.com/microsoft/azure-container-apps/issues/886).
            let schedule: Vec<&str> = text(&trigger["cronExpression"]).split(' ').collect();
            assert_eq!(schedule.len(), 5);
            let times = match schedule[0].strip_prefix("*/") {
                Some(minutes) => minutes.parse::<u64>().unwrap() * 60,
                None => 86_400 * u64::from(schedule[1].parse::<u8>().is_ok()),
            };
            assert_eq!(times, interval, "{name}");
            // Executions would overlap (https://github.com/microsoft/azure-container-apps/issues/1271).
            let attempts = 1 + configuration["replicaRetryLimit"].as_u64().unwrap();
            let timeout = configuration["replicaTimeout"].as_u64().unwrap();
            assert!(timeout * attempts < interval, "{name}");
            if let Some(at) = command.iter().position(|argument| *argument == "--max-minutes") {
                assert!(timeout > command[at + 1].parse::<u64>().unwrap() * 60, "{name}");
            }
        }
    }
}

#[test]
fn an_empty_schedule_turns_its_job_off() {
    let schedule = |name| {
        let job = job(Variant::Changed, name)?;
        Some(text(&job["properties"]["configuration"]["scheduleTriggerConfig"]["cronExpression"]).to_owned())
    };
    assert_eq!(schedule("maintain").unwrap(), "0 3 * * *");
    assert_eq!(schedule("lag").unwrap(), "*/10 * * * *");
    assert_eq!(schedule("reconcile"), None);
    let first = Variant::First.snapshot().of_type("Microsoft.App/jobs");
    assert_eq!(first.count(), 0, "there are no images yet");
}

#[test]
fn where_the_network_is_private_a_job_waits_for_commands() {
    for variant in Variant::WITH_APPS {
        let found = job(variant, "operate");
        assert_eq!(found.is_some(), variant.is_private(), "{variant:?}");
        let Some(job) = found else { continue };
        let configuration = &job["properties"]["configuration"];
        assert_eq!(configuration["triggerType"], "Manual");
        assert!(configuration["scheduleTriggerConfig"].is_null());
        // A command that was half done is not repeated by the platform.
        assert_eq!(configuration["replicaRetryLimit"], 0);
    }
}

#[test]
fn each_job_runs_the_operators_image_as_its_own_identity() {
    for name in JOBS.map(|(name, ..)| name).into_iter().chain(["operate"]) {
        let job = job(Variant::Private, name).unwrap();
        let image = text(&container(job)["image"]);
        assert!(
            image.contains("/pipeline:") && image.ends_with(&format!("'xact-pipeline', '{IMAGE_TAG}')]")),
            "{image}"
        );
        assert!(container(job).get("command").is_none(), "the image has its entry point");
        let configuration = &job["properties"]["configuration"];
        assert!(text(&configuration["registries"][0]["identity"]).ends_with("-platform"));
        let mut lifecycles: Vec<_> = list(&configuration["identitySettings"])
            .iter()
            .map(|setting| (last(&setting["identity"]), text(&setting["lifecycle"])))
            .collect();
        lifecycles.sort_unstable_by_key(|&(_, lifecycle)| lifecycle);
        let own = format!("id-xact-prod-{name}");
        assert_eq!(lifecycles, [(own.as_str(), "Main"), ("id-xact-prod-platform", "None")]);
        assert!(variables(job)["AZURE_CLIENT_ID"].contains(&format!("/{own}'")));
        let resources = &container(job)["resources"];
        let cores = resources["cpu"].as_f64().unwrap();
        assert_eq!(resources["memory"], format!("{}Gi", 2.0 * cores), "{name}");
    }
}

#[test]
fn each_job_has_the_variables_of_the_stages() {
    let known = known_variables();
    let writer = variables(Variant::Private.snapshot().app("event-writer"));
    let jobs = JOBS.map(|(name, .., uses_lake)| (name, uses_lake));
    for (name, uses_lake) in jobs.into_iter().chain([("operate", true)]) {
        let variables = variables(job(Variant::Private, name).unwrap());
        for (variable, value) in &variables {
            assert!(known.contains_key(*variable) && !value.is_empty(), "{name}: {variable}");
        }
        for variable in writer
            .keys()
            .filter(|name| name.contains("KAFKA") || name.contains("EVENTHUB"))
        {
            assert_eq!(variables.get(variable), writer.get(variable), "{name}: {variable}");
        }
        for variable in [
            "ONELAKE_BASE_PATH",
            "DELTA_EVENTS_TABLE_PATH",
            "DELTA_INVENTORY_TABLE_PATH",
            "DELTA_FAILED_TABLE_PATH",
            "DELTA_RECONCILIATION_TABLE_PATH",
        ] {
            assert_eq!(variables.contains_key(variable), uses_lake, "{name}: {variable}");
        }
    }
}

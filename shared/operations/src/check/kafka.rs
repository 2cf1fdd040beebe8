//! The brokers, the topics, and the groups.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::finding::{Check, Finding, Found, named};
use super::next_records;
use crate::blocking::blocking;
use xact_config::Settings;
use xact_kafka::admin::{Cluster, LagReader, TopicState, clusters};

pub(super) fn checks(settings: &Arc<Settings>) -> Vec<Check> {
    let mut checks = Vec::new();
    for cluster in clusters(settings) {
        let name = format!("topics, {}", cluster.name());
        checks.push(named(name, blocking(move || of_cluster(&cluster))));
    }
    let of_groups = settings.clone();
    checks.push(named("groups", blocking(move || groups(&of_groups))));
    let settings = settings.clone();
    checks.push(named("next records", blocking(move || next_records::check(&settings))));
    checks
}

fn of_cluster(cluster: &Cluster) -> Found {
    let states = cluster.list()?;
    let problems: Vec<String> = states.iter().filter_map(problem).collect();
    if !problems.is_empty() {
        return Ok(Finding::failed(problems.join("\n")));
    }
    let plural = if states.len() == 1 { "" } else { "s" };
    Ok(Finding::ok(format_args!(
        "{} answers; {} topic{plural} with the expected partitions",
        cluster.bootstrap_servers(),
        states.len()
    )))
}

fn problem(topic: &TopicState) -> Option<String> {
    let wanted = usize::try_from(topic.wanted).unwrap_or_default();
    match topic.partitions {
        None => Some(format!(
            "{} is missing: create it (`xact-pipeline topics create`; on Event Hubs the deployment does)",
            topic.name
        )),
        // More than the default is allowed: it permits more workers.
        Some(found) if found < wanted => Some(format!(
            "{} has {found} partitions instead of {wanted}, which limits it to {found} workers. On Event Hubs Standard the \
             number is fixed: delete the hub when it is empty, and deploy again",
            topic.name
        )),
        Some(_) => None,
    }
}

/// Asks every partition's leader and every group's coordinator, so a broker whose advertised address is unreachable fails
/// here.
fn groups(settings: &Settings) -> Found {
    let mut by_group: BTreeMap<String, u64> = BTreeMap::new();
    for lag in LagReader::new(settings)?.read()? {
        let records = lag.lag();
        *by_group.entry(lag.group).or_default() += records;
    }
    let groups = by_group.len();
    let behind = by_group.iter().filter(|(_, lag)| **lag > 0);
    let behind: Vec<String> = behind
        .map(|(group, lag)| format!("{group} has a lag of {lag}"))
        .collect();
    Ok(if behind.is_empty() {
        Finding::ok(format_args!("{groups} groups without lag"))
    } else {
        Finding::ok(format_args!("{groups} groups; {}", behind.join(", ")))
    })
}

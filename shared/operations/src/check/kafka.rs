//! The brokers, the topics, and the groups.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::finding::{Check, Finding};
use super::next_records;
use crate::blocking::blocking;
use xact_config::Settings;
use xact_kafka::admin::{Cluster, LagReader, TopicState, clusters};

pub(super) fn checks(settings: &Arc<Settings>) -> Vec<(String, Check)> {
    let mut checks: Vec<(String, Check)> = Vec::new();
    for cluster in clusters(settings) {
        let name = format!("topics, {}", cluster.name());
        checks.push((name, Box::pin(blocking(move || of_cluster(&cluster)))));
    }
    let of_groups = settings.clone();
    checks.push(("groups".to_owned(), Box::pin(blocking(move || groups(&of_groups)))));
    let settings = settings.clone();
    let records = blocking(move || next_records::check(&settings));
    checks.push(("next records".to_owned(), Box::pin(records)));
    checks
}

fn of_cluster(cluster: &Cluster) -> Finding {
    let states = match cluster.list() {
        Ok(states) => states,
        Err(error) => return Finding::failed(error),
    };
    let problems: Vec<String> = states.iter().filter_map(problem).collect();
    if !problems.is_empty() {
        return Finding::failed(problems.join("\n"));
    }
    let plural = if states.len() == 1 { "" } else { "s" };
    Finding::ok(format_args!(
        "{} answers; {} topic{plural} with the expected partitions",
        cluster.bootstrap_servers(),
        states.len()
    ))
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
fn groups(settings: &Settings) -> Finding {
    let lags = match LagReader::new(settings).and_then(|reader| reader.read()) {
        Ok(lags) => lags,
        Err(error) => return Finding::failed(error),
    };
    let mut by_group: BTreeMap<&str, u64> = BTreeMap::new();
    for lag in &lags {
        *by_group.entry(&lag.group).or_default() += lag.lag();
    }
    let behind: Vec<String> = by_group
        .iter()
        .filter(|(_, lag)| **lag > 0)
        .map(|(group, lag)| format!("{group} has a lag of {lag}"))
        .collect();
    let groups = by_group.len();
    if behind.is_empty() {
        Finding::ok(format_args!("{groups} groups without lag"))
    } else {
        Finding::ok(format_args!("{groups} groups; {}", behind.join(", ")))
    }
}

//! The brokers: who answers, which topics are there, and where the groups stand.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Checked, Verdict, records};
use xact_config::Settings;
use xact_kafka::admin::{Cluster, LagReader, TopicState, clusters};

pub(super) fn checks(settings: &Arc<Settings>) -> Vec<(String, Checked)> {
    let mut checks: Vec<(String, Checked)> = Vec::new();
    for cluster in clusters(settings) {
        let name = format!("topics, {}", cluster.name());
        checks.push((name, Box::pin(blocking(move || of_cluster(&cluster)))));
    }
    let of_groups = settings.clone();
    checks.push(("groups".to_owned(), Box::pin(blocking(move || groups(&of_groups)))));
    let settings = settings.clone();
    let records = blocking(move || records::check(&settings));
    checks.push(("next records".to_owned(), Box::pin(records)));
    checks
}

async fn blocking(check: impl FnOnce() -> Verdict + Send + 'static) -> Verdict {
    tokio::task::spawn_blocking(check)
        .await
        .unwrap_or_else(|error| Verdict::failed(&error))
}

fn of_cluster(cluster: &Cluster) -> Verdict {
    let states = match cluster.list() {
        Ok(states) => states,
        Err(error) => return Verdict::failed(&error),
    };
    let wrong: Vec<String> = states.iter().filter_map(wrong).collect();
    if wrong.is_empty() {
        let topics = match states.len() {
            1 => "1 topic".to_owned(),
            count => format!("{count} topics"),
        };
        return Verdict::Ok(format!(
            "{} answers; {topics} with their partitions",
            cluster.bootstrap_servers()
        ));
    }
    Verdict::Failed(wrong.join("\n"))
}

fn wrong(topic: &TopicState) -> Option<String> {
    let wanted = usize::try_from(topic.wanted).unwrap_or_default();
    match topic.partitions {
        None => Some(format!(
            "{} is missing: create it (`xact-pipeline topics create`; on Event Hubs the deployment does)",
            topic.name
        )),
        // More are no mistake: somebody wanted more workers.
        Some(found) if found < wanted => Some(format!(
            "{} has {found} partitions and not {wanted}: no more workers than partitions work on it. On Event Hubs Standard \
             the number is fixed: delete the hub when it is empty, and deploy again",
            topic.name
        )),
        Some(_) => None,
    }
}

/// Asks every partition's leader and every group's coordinator: addresses that brokers advertise and nobody reaches show
/// here.
fn groups(settings: &Settings) -> Verdict {
    let lags = match LagReader::new(settings).and_then(|reader| reader.read()) {
        Ok(lags) => lags,
        Err(error) => return Verdict::failed(&error),
    };
    let mut by_group: BTreeMap<String, u64> = BTreeMap::new();
    for lag in &lags {
        *by_group.entry(lag.group.clone()).or_default() += lag.lag();
    }
    let behind: Vec<String> = by_group
        .iter()
        .filter(|(_, lag)| **lag > 0)
        .map(|(group, lag)| format!("{group} is {lag} behind"))
        .collect();
    Verdict::Ok(match behind.is_empty() {
        true => format!("{} groups have finished everything", by_group.len()),
        false => format!("{} groups; {}", by_group.len(), behind.join(", ")),
    })
}

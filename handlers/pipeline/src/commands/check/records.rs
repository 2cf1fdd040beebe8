//! Whether each group can read on: the record at every position with lag is read once, as its stage would read it.
//!
//! One request or two for each partition with lag, over one connection for each cluster, and none where there is no lag.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::Verdict;
use xact_config::{ClusterSettings, Settings};
use xact_contracts::topology::{Stage, TopicRole};
use xact_kafka::admin::{LagReader, PartitionLag};
use xact_kafka::admin::{Probed, RecordProbe};

/// After so long no further record is looked at.
const TIME_LIMIT: Duration = Duration::from_secs(60);

/// Unreadable records that are named.
const NAMED: usize = 10;

/// A record that somebody is to read next: on the cluster of the events or not, topic, partition, offset.
type Place = (bool, String, i32, i64);

pub(super) fn check(settings: &Settings) -> Verdict {
    // Where that fails, "topics" and "groups" say why.
    let Ok(lags) = LagReader::new(settings).and_then(|reader| reader.read()) else {
        return Verdict::Skipped("the positions of the groups cannot be read".to_owned());
    };
    let places = places(lags);
    let started = Instant::now();
    let mut looked_at = 0;
    let mut unreadable = Vec::new();
    let mut probes: BTreeMap<bool, RecordProbe> = BTreeMap::new();
    for (place, groups) in &places {
        if started.elapsed() > TIME_LIMIT {
            break;
        }
        let (of_events, topic, partition, offset) = place;
        let cluster = match of_events {
            true => settings.cluster_of_events(),
            false => &settings.internal_cluster,
        };
        match read(&mut probes, *of_events, cluster, topic, *partition, *offset) {
            Ok(Probed::Record(_) | Probed::End) => {}
            Ok(Probed::Unreadable(reason)) => unreadable.push(told(place, groups, &reason)),
            Err(error) => return Verdict::failed(&error),
        }
        looked_at += 1;
    }
    verdict(places.len(), looked_at, &unreadable)
}

fn read(
    probes: &mut BTreeMap<bool, RecordProbe>,
    of_events: bool,
    cluster: &ClusterSettings,
    topic: &str,
    partition: i32,
    offset: i64,
) -> Result<Probed, xact_kafka::admin::AdminError> {
    let probe = match probes.remove(&of_events) {
        Some(probe) => probe,
        None => RecordProbe::connect(cluster)?,
    };
    let probed = probe.read(topic, partition, offset);
    probes.insert(of_events, probe);
    probed
}

/// Where groups stand that have something to read, with those groups: two at the same place are one look.
fn places(lags: Vec<PartitionLag>) -> BTreeMap<Place, Vec<(Stage, String)>> {
    let mut places: BTreeMap<Place, Vec<(Stage, String)>> = BTreeMap::new();
    for lag in lags.into_iter().filter(|lag| lag.lag() > 0) {
        let offset = lag.committed.unwrap_or(lag.start).max(lag.start);
        let of_events = lag.stage.row().consumes == TopicRole::Raw;
        let place = (of_events, lag.topic, lag.partition, offset);
        places.entry(place).or_default().push((lag.stage, lag.group));
    }
    places
}

fn told((_, topic, partition, offset): &Place, groups: &[(Stage, String)], reason: &str) -> String {
    let commands: Vec<String> = groups
        .iter()
        .map(|(stage, group)| {
            format!(
                "if nothing can make it readable, stop all {stage} workers, then: xact-pipeline offsets skip --group {group} \
                 --topic {topic} --partition {partition} --offset {offset} --reason TEXT"
            )
        })
        .collect();
    format!(
        "{topic}[{partition}] cannot be read at offset {offset}: {reason}\n{}",
        commands.join("\n")
    )
}

fn verdict(places: usize, looked_at: usize, unreadable: &[String]) -> Verdict {
    if !unreadable.is_empty() {
        let mut text = unreadable[..unreadable.len().min(NAMED)].join("\n");
        if unreadable.len() > NAMED {
            text = format!("{text}\nand {} more", unreadable.len() - NAMED);
        }
        return Verdict::Failed(text);
    }
    match (places, looked_at) {
        (0, _) => Verdict::Ok("no group has anything to read".to_owned()),
        (places, looked_at) if looked_at < places => Verdict::Warning(format!(
            "the next record was read in {looked_at} of {places} partitions with lag; the others were not looked at within {} s",
            TIME_LIMIT.as_secs()
        )),
        (places, _) => Verdict::Ok(format!("the next record can be read, in {places} partitions with lag")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(verdict: &Verdict) -> (&'static str, &str) {
        (verdict.word(), verdict.text())
    }

    #[test]
    fn an_unreadable_record_is_a_failure_with_a_command_for_each_group() {
        let place = (true, "xact.events.raw".to_owned(), 2, 17);
        let groups = [
            (Stage::EventWriter, "xact-event-writer".to_owned()),
            (Stage::EventIngester, "xact-event-ingester".to_owned()),
        ];
        let verdict = verdict(3, 3, &[told(&place, &groups, "Not implemented")]);
        let (word, text) = text(&verdict);
        assert_eq!(word, "failed");
        for words in [
            "xact.events.raw[2] cannot be read at offset 17: Not implemented",
            "offsets skip --group xact-event-writer --topic xact.events.raw --partition 2 --offset 17",
            "offsets skip --group xact-event-ingester --topic",
            "stop all event-writer workers",
        ] {
            assert!(text.contains(words), "{words} is not in {text}");
        }
    }

    #[test]
    fn what_was_not_looked_at_is_said() {
        assert_eq!(text(&verdict(0, 0, &[])).0, "ok");
        assert_eq!(text(&verdict(4, 4, &[])).0, "ok");
        let verdict = verdict(4, 3, &[]);
        let (word, text) = text(&verdict);
        assert!(word == "warning" && text.contains("3 of 4"), "{text}");
    }

    #[test]
    fn only_some_of_many_are_named() {
        let many: Vec<String> = (0..12).map(|number| format!("number {number}.")).collect();
        let verdict = verdict(12, 12, &many);
        let text = text(&verdict).1;
        assert!(
            text.contains("number 9.") && !text.contains("number 10.") && text.ends_with("and 2 more"),
            "{text}"
        );
    }
}

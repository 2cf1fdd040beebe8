//! Whether each group can read on: reads the record at every position with lag once, as its stage would read it.
//!
//! Takes one request or two for each partition with lag, over one connection to each cluster, and none without lag.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::finding::{Finding, Found};
use crate::next_record::{NextRecords, Place, is_of_events, next_offset};
use xact_config::Settings;
use xact_contracts::topology::Stage;
use xact_kafka::admin::{LagReader, PartitionLag, Probed};

/// Time after which no further record is read.
const READ_TIMEOUT: Duration = Duration::from_secs(60);

/// Maximum number of unreadable records that the text names.
const MAX_NAMED: usize = 10;

/// A stage and its group.
type Reader = (Stage, String);

pub(super) fn check(settings: &Settings) -> Found {
    // If this fails, the checks "topics" and "groups" report the reason.
    let Ok(lags) = LagReader::new(settings).and_then(|reader| reader.read()) else {
        return Ok(Finding::skipped("the positions of the groups cannot be read"));
    };
    let places = places(lags);
    let started = Instant::now();
    let mut read = 0;
    let mut unreadable = Vec::new();
    let mut records = NextRecords::new(settings);
    for (place, readers) in &places {
        if started.elapsed() > READ_TIMEOUT {
            break;
        }
        let found = records.read(place.is_of_events, &place.topic, place.partition, place.offset)?;
        if let Probed::Unreadable(reason) = found {
            unreadable.push(describe(place, readers, &reason));
        }
        read += 1;
    }
    Ok(finding(places.len(), read, &unreadable))
}

/// Returns where groups with lag read next, with those groups. Groups at the same place share one read.
fn places(lags: Vec<PartitionLag>) -> BTreeMap<Place, Vec<Reader>> {
    let mut places: BTreeMap<Place, Vec<Reader>> = BTreeMap::new();
    for lag in lags.into_iter().filter(|lag| lag.lag() > 0) {
        let place = Place {
            is_of_events: is_of_events(lag.stage),
            offset: next_offset(&lag),
            topic: lag.topic,
            partition: lag.partition,
        };
        places.entry(place).or_default().push((lag.stage, lag.group));
    }
    places
}

fn describe(place: &Place, readers: &[Reader], reason: &str) -> String {
    let Place {
        topic,
        partition,
        offset,
        ..
    } = place;
    let commands = readers.iter().map(|(stage, group)| {
        format!(
            "\nif it cannot be made readable, stop all {stage} workers, then: xact-pipeline offsets skip --group {group} \
             --topic {topic} --partition {partition} --offset {offset} --reason TEXT"
        )
    });
    let commands: String = commands.collect();
    format!("{topic}[{partition}] cannot be read at offset {offset}: {reason}{commands}")
}

fn finding(places: usize, read: usize, unreadable: &[String]) -> Finding {
    if !unreadable.is_empty() {
        let mut text = unreadable[..unreadable.len().min(MAX_NAMED)].join("\n");
        if unreadable.len() > MAX_NAMED {
            text = format!("{text}\nand {} more", unreadable.len() - MAX_NAMED);
        }
        return Finding::failed(text);
    }
    if places == 0 {
        return Finding::ok("no group has lag");
    }
    if read < places {
        return Finding::warning(format_args!(
            "the next record was read in {read} of {places} partitions with lag; the others were not read within {} s",
            READ_TIMEOUT.as_secs()
        ));
    }
    Finding::ok(format_args!(
        "the next record is readable in all {places} partitions with lag"
    ))
}

#[cfg(test)]
mod tests {
    use super::super::finding::Verdict;
    use super::*;

    #[test]
    fn an_unreadable_record_is_a_failure_with_a_command_for_each_group() {
        let place = Place {
            is_of_events: true,
            topic: "xact.events.raw".to_owned(),
            partition: 2,
            offset: 17,
        };
        let readers = [
            (Stage::EventWriter, "xact-event-writer".to_owned()),
            (Stage::EventIngester, "xact-event-ingester".to_owned()),
        ];
        let found = finding(3, 3, &[describe(&place, &readers, "Not implemented")]);
        assert_eq!(found.verdict, Verdict::Failed);
        for words in [
            "xact.events.raw[2] cannot be read at offset 17: Not implemented",
            "offsets skip --group xact-event-writer --topic xact.events.raw --partition 2 --offset 17",
            "offsets skip --group xact-event-ingester --topic",
            "stop all event-writer workers",
        ] {
            assert!(found.text.contains(words), "{words} is not in {}", found.text);
        }
    }

    #[test]
    fn partitions_that_were_not_read_give_a_warning() {
        for (places, read, verdict) in [(0, 0, Verdict::Ok), (4, 4, Verdict::Ok), (4, 3, Verdict::Warning)] {
            assert_eq!(finding(places, read, &[]).verdict, verdict);
        }
        assert!(finding(4, 3, &[]).text.contains("3 of 4"));
    }

    #[test]
    fn at_most_ten_records_are_named() {
        let many: Vec<String> = (0..12).map(|number| number.to_string()).collect();
        assert_eq!(finding(12, 12, &many).text, "0\n1\n2\n3\n4\n5\n6\n7\n8\n9\nand 2 more");
    }
}

//! The positions of the groups over the last hour, from which rates and standstill follow.

use std::collections::VecDeque;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::Mutex;

use xact_config::Settings;
use xact_contracts::topology::{STAGES, TopicRole};
use xact_kafka::admin::AdminError;
use xact_operations::topics::{LagAnswer, OldestRecord, lag};

/// A younger reading is shown again, so that several pages read once.
const MAX_AGE: SignedDuration = SignedDuration::from_secs(4);
/// How long readings are kept.
const RETENTION: SignedDuration = SignedDuration::from_hours(1);
/// Rates are measured over at least this time.
const RATE_INTERVAL: SignedDuration = SignedDuration::from_secs(30);

/// A reading.
struct Reading {
    at: Timestamp,
    answer: LagAnswer,
}

/// The readings of the last hour. Only a page that is open requests them; nothing runs in the background.
pub(super) struct Positions {
    settings: Arc<Settings>,
    readings: Mutex<VecDeque<Reading>>,
}

/// The newest reading, and what follows from those before.
pub(super) struct Flow {
    pub(super) at: Timestamp,
    pub(super) missing_topics: Vec<String>,
    pub(super) topics: Vec<TopicFlow>,
}

/// One topic of a stage.
#[derive(Debug, PartialEq)]
pub(super) struct TopicFlow {
    pub(super) stage: &'static str,
    pub(super) topic: String,
    /// Whether its records wait until they are due.
    pub(super) is_retry: bool,
    pub(super) lag: u64,
    pub(super) oldest: Option<Timestamp>,
    /// Records a second that were written; `None`: there is one reading only.
    pub(super) written: Option<f64>,
    /// Records a second that the stage finished.
    pub(super) finished: Option<f64>,
    /// Since when nothing was finished, although records wait.
    pub(super) stands_since: Option<Timestamp>,
    /// The lag of each reading of the last hour.
    pub(super) history: Vec<(Timestamp, u64)>,
}

impl Positions {
    pub(super) fn new(settings: Arc<Settings>) -> Self {
        Self {
            settings,
            readings: Mutex::default(),
        }
    }

    /// Returns the state of now, or of some seconds ago.
    pub(super) async fn flow(&self) -> Result<Flow, AdminError> {
        // Held while the broker is asked: the pages of one moment share one reading.
        let mut readings = self.readings.lock().await;
        let is_fresh = |reading: &Reading| Timestamp::now().duration_since(reading.at) < MAX_AGE;
        if !readings.back().is_some_and(is_fresh) {
            let answer = lag(&self.settings, OldestRecord::Read).await?;
            let at = Timestamp::now();
            readings.push_back(Reading { at, answer });
            while readings
                .front()
                .is_some_and(|reading| at.duration_since(reading.at) > RETENTION)
            {
                readings.pop_front();
            }
        }
        Ok(flow(readings.make_contiguous(), &self.settings))
    }
}

fn flow(readings: &[Reading], settings: &Settings) -> Flow {
    let Some(newest) = readings.last() else {
        return Flow {
            at: Timestamp::now(),
            missing_topics: Vec::new(),
            topics: Vec::new(),
        };
    };
    let retries = settings.topics.of(TopicRole::Retry);
    let mut topics: Vec<TopicFlow> = newest
        .answer
        .groups
        .iter()
        .map(|group| {
            let history: Vec<Point> = readings
                .iter()
                .filter_map(|reading| Point::of(reading, &group.group, &group.topic))
                .collect();
            let (written, finished) = rates(&history);
            TopicFlow {
                stage: group.stage,
                topic: group.topic.clone(),
                is_retry: retries.contains(&group.topic.as_str()),
                lag: group.lag,
                oldest: group.oldest_unfinished,
                written,
                finished,
                stands_since: stands_since(&history),
                history: history.iter().map(|point| (point.at, point.lag)).collect(),
            }
        })
        .collect();
    let order = |name: &str| STAGES.iter().position(|row| row.name == name);
    topics.sort_by_key(|topic| order(topic.stage));
    Flow {
        at: newest.at,
        missing_topics: newest.answer.missing_topics.clone(),
        topics,
    }
}

/// The sums of a topic's partitions in one reading.
#[derive(Debug, Clone, Copy)]
struct Point {
    at: Timestamp,
    end: i64,
    committed: i64,
    lag: u64,
}

impl Point {
    fn of(reading: &Reading, group: &str, topic: &str) -> Option<Self> {
        let found = reading
            .answer
            .groups
            .iter()
            .find(|found| found.group == group && found.topic == topic)?;
        let partitions = found.partitions.iter();
        Some(Self {
            at: reading.at,
            end: partitions.clone().map(|partition| partition.end).sum(),
            // What is not committed begins before what is retained.
            committed: partitions
                .map(|partition| partition.end - i64::try_from(partition.lag).unwrap_or(i64::MAX))
                .sum(),
            lag: found.lag,
        })
    }
}

/// Returns the records a second that were written and that were finished.
fn rates(history: &[Point]) -> (Option<f64>, Option<f64>) {
    let Some((newest, before)) = history.split_last() else {
        return (None, None);
    };
    let earlier = before
        .iter()
        .rfind(|point| newest.at.duration_since(point.at) >= RATE_INTERVAL)
        .or(before.first());
    let Some(earlier) = earlier else {
        return (None, None);
    };
    let seconds = newest.at.duration_since(earlier.at).as_secs_f64();
    #[expect(clippy::cast_precision_loss, reason = "a rate of a minute")]
    let rate = |difference: i64| Some(difference.max(0) as f64 / seconds).filter(|rate| rate.is_finite());
    (
        rate(newest.end - earlier.end),
        rate(newest.committed - earlier.committed),
    )
}

/// Returns since when the position has not moved while records waited.
fn stands_since(history: &[Point]) -> Option<Timestamp> {
    let newest = history.last()?;
    let standing = history
        .iter()
        .rev()
        .take_while(|point| point.lag > 0 && point.committed == newest.committed);
    standing.last().map(|point| point.at).filter(|since| *since < newest.at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history(points: &[(i64, i64, i64)]) -> Vec<Point> {
        let point = |&(second, end, committed): &(i64, i64, i64)| Point {
            at: Timestamp::from_second(second).unwrap(),
            end,
            committed,
            lag: u64::try_from(end - committed).unwrap(),
        };
        points.iter().map(point).collect()
    }

    #[test]
    fn rates_are_of_the_last_half_minute() {
        assert_eq!(rates(&history(&[])), (None, None));
        assert_eq!(rates(&history(&[(0, 5, 5)])), (None, None));
        assert_eq!(rates(&history(&[(0, 0, 0), (10, 20, 10)])), (Some(2.0), Some(1.0)));
        assert_eq!(
            rates(&history(&[(0, 0, 0), (60, 100, 100), (95, 170, 135), (100, 180, 140)])),
            (Some(2.0), Some(1.0))
        );
        // Retention removed records: the end never goes back, but a topic that is made again does.
        assert_eq!(rates(&history(&[(0, 50, 50), (60, 0, 0)])), (Some(0.0), Some(0.0)));
    }

    #[test]
    fn a_group_stands_while_its_position_does_not_move_and_records_wait() {
        let since = |points: &[(i64, i64, i64)]| stands_since(&history(points)).map(Timestamp::as_second);
        assert_eq!(since(&[(0, 9, 5)]), None, "one reading says nothing");
        assert_eq!(since(&[(0, 9, 4), (5, 9, 5), (10, 9, 5), (15, 12, 5)]), Some(5));
        assert_eq!(since(&[(0, 9, 5), (5, 9, 6)]), None);
        assert_eq!(since(&[(0, 9, 9), (5, 9, 9)]), None, "nothing waits");
    }
}

//! The positions of the groups over the last hour, from which rates and standstill follow.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::Mutex;

use super::sample::{Point, Sample, rates, samples, stands_since};
use xact_config::Settings;
use xact_contracts::topology::{Stage, TopicRole};
use xact_operations::topics::{GroupLag, LagAnswer, LagWatch, OldestRecord};

/// A younger reading is shown again, so that several pages read once.
const MAX_AGE: SignedDuration = SignedDuration::from_secs(4);
/// How long readings are kept.
pub(super) const RETENTION: SignedDuration = SignedDuration::from_hours(1);
/// Time after which a reading reads no further record for its age.
const RECORDS_TIMEOUT: Duration = Duration::from_secs(3);
/// After this time without a page the connections to the broker are closed.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);

/// The readings of the last hour. Only a page that is open requests them; nothing runs in the background.
pub(super) struct Positions {
    settings: Arc<Settings>,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    watch: Option<LagWatch>,
    /// The newest reading, or why it failed.
    latest: Option<(Timestamp, Result<LagAnswer, String>)>,
    /// Requests of the newest reading.
    requests: usize,
    /// The readings of each stage and topic.
    series: BTreeMap<Key, VecDeque<Point>>,
}

/// A stage and a topic.
type Key = (&'static str, String);

/// The newest reading, and what follows from those before.
pub(super) struct Flow {
    pub(super) at: Timestamp,
    pub(super) missing_topics: Vec<String>,
    pub(super) topics: Vec<TopicFlow>,
    /// Requests to the broker of the newest reading.
    pub(super) requests: usize,
}

/// One topic of a stage.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct TopicFlow {
    pub(super) stage: Stage,
    pub(super) topic: String,
    pub(super) lag: u64,
    pub(super) oldest: Option<Timestamp>,
    /// When the next retry is due, in a retry topic.
    pub(super) next_due: Option<Timestamp>,
    /// Records a second that were written; `None`: there is one reading only.
    pub(super) written: Option<f64>,
    /// Records a second that the stage finished.
    pub(super) finished: Option<f64>,
    /// Since when nothing was finished, although records wait.
    pub(super) stands_since: Option<Timestamp>,
    /// Records that were written since the first reading, at most an hour ago.
    pub(super) written_in_all: u64,
    /// The last hour, a sample a minute and the newest.
    pub(super) history: Vec<Sample>,
}

impl TopicFlow {
    /// Returns whether its records wait until they are due.
    pub(super) fn is_retry(&self) -> bool {
        self.stage.row().consumes == TopicRole::Retry
    }
}

impl Positions {
    pub(super) fn new(settings: Arc<Settings>) -> Self {
        Self {
            settings,
            state: Arc::default(),
        }
    }

    /// Returns the state of now, or of some seconds ago.
    pub(super) async fn flow(&self) -> Result<Flow, String> {
        // Held while the broker is asked: the pages of one moment share one reading, also one that fails.
        let mut state = self.state.lock().await;
        let is_young = |at: Timestamp| Timestamp::now().duration_since(at) < MAX_AGE;
        if !state.latest.as_ref().is_some_and(|(at, _)| is_young(*at)) {
            let watch = state.watch.take();
            let watch = watch.unwrap_or_else(|| LagWatch::new(&self.settings, RECORDS_TIMEOUT));
            let (watch, answer) = watch.read(OldestRecord::Read).await;
            state.add(
                watch.requests(),
                answer.map_err(|error| error.to_string()),
                Timestamp::now(),
            );
            state.watch = Some(watch);
            tokio::spawn(disconnect_if_idle(self.state.clone()));
        }
        state.flow()
    }
}

/// Closes the connections unless there is a reading within the timeout.
async fn disconnect_if_idle(state: Arc<Mutex<State>>) {
    tokio::time::sleep(IDLE_TIMEOUT).await;
    let mut state = state.lock().await;
    let idle_since = Timestamp::now() - IDLE_TIMEOUT;
    if state.latest.as_ref().is_some_and(|(at, _)| *at <= idle_since) {
        let watch = state.watch.take();
        // Closing a client blocks.
        tokio::task::spawn_blocking(move || drop(watch));
    }
}

impl State {
    fn add(&mut self, requests: usize, answer: Result<LagAnswer, String>, at: Timestamp) {
        for group in answer.iter().flat_map(|answer| &answer.groups) {
            let series = self.series.entry((group.stage, group.topic.clone())).or_default();
            series.push_back(point(group, at));
        }
        let is_old = |point: &Point| at.duration_since(point.at) > RETENTION;
        self.series.retain(|_, series| {
            while series.front().is_some_and(is_old) {
                series.pop_front();
            }
            !series.is_empty()
        });
        self.requests = requests;
        self.latest = Some((at, answer));
    }

    fn flow(&mut self) -> Result<Flow, String> {
        let Some((at, answer)) = &self.latest else {
            return Err("the broker was not asked yet".to_owned());
        };
        let answer = answer.as_ref().map_err(String::clone)?;
        let mut topics = Vec::new();
        for group in &answer.groups {
            let series = self.series.entry((group.stage, group.topic.clone())).or_default();
            topics.extend(topic_flow(group, series.make_contiguous()));
        }
        topics.sort_by_key(|topic| topic.stage);
        Ok(Flow {
            at: *at,
            missing_topics: answer.missing_topics.clone(),
            topics,
            requests: self.requests,
        })
    }
}

/// Returns the sums of a topic's partitions.
fn point(group: &GroupLag, at: Timestamp) -> Point {
    let partitions = group.partitions.iter();
    Point {
        at,
        end: partitions.clone().map(|partition| partition.end).sum(),
        // What is not committed begins before what is retained.
        committed: partitions
            .map(|partition| partition.end - i64::try_from(partition.lag).unwrap_or(i64::MAX))
            .sum(),
        lag: group.lag,
    }
}

fn topic_flow(group: &GroupLag, series: &[Point]) -> Option<TopicFlow> {
    let (written, finished) = rates(series);
    let ends = [series.first(), series.last()].map(|point| point.map_or(0, |point| point.end));
    Some(TopicFlow {
        stage: group.stage.parse().ok()?,
        topic: group.topic.clone(),
        lag: group.lag,
        oldest: group.oldest_unfinished,
        next_due: group.next_due,
        written,
        finished,
        stands_since: stands_since(series),
        written_in_all: u64::try_from(ends[1] - ends[0]).unwrap_or(0),
        history: samples(series),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(stage: &'static str, topic: &str, lag: u64) -> LagAnswer {
        LagAnswer {
            groups: vec![GroupLag {
                group: "g".to_owned(),
                stage,
                topic: topic.to_owned(),
                lag,
                worst_partition: None,
                worst_lag: 0,
                oldest_unfinished: None,
                next_due: None,
                partitions: Vec::new(),
            }],
            missing_topics: Vec::new(),
        }
    }

    #[test]
    fn an_hour_is_kept_and_a_failure_is_shown_until_the_next_reading() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let mut state = State::default();
        assert!(state.flow().is_err());
        for minute in 0..90 {
            state.add(21, Ok(answer("download", "t", 5)), at(minute * 60));
        }
        let flow = state.flow().unwrap();
        assert_eq!(
            (flow.topics.len(), flow.topics[0].history.len(), flow.requests),
            (1, 61, 21)
        );
        state.add(0, Err("no broker".to_owned()), at(90 * 60));
        assert_eq!(state.flow().err().as_deref(), Some("no broker"));
        // A topic that is not there any more is forgotten with its last reading.
        state.add(21, Ok(answer("dlq", "other", 0)), at(149 * 60 + 1));
        assert_eq!(state.series.len(), 1);
        assert_eq!(state.flow().unwrap().topics[0].stage, Stage::Dlq);
    }
}

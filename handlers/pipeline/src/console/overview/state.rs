//! What a stage does: whether somebody must act.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::positions::TopicFlow;
use crate::console::layout::{duration, time};
use xact_config::Settings;
use xact_contracts::topology::Stage;

/// Time without a finished record after which a stage is stuck, in addition to the time that it waits for a batch.
const STUCK_AFTER: Duration = Duration::from_secs(30);

/// The state of a stage, or of a stage in one topic; the last is the worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum State {
    /// Nothing waits, and nothing was finished for half a minute.
    Asleep,
    /// Retries wait until they are due, the first of them at this time, if it is known.
    Held(Option<Timestamp>),
    /// There is one reading so far, so nothing is known.
    Unknown,
    /// It finishes records, or has not had the time to.
    Working,
    /// Records wait, and since this time none was finished.
    Stuck(Timestamp),
}

impl State {
    /// Returns its name for the style.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Asleep => "idle",
            Self::Held(_) => "held",
            Self::Unknown => "unknown",
            Self::Working => "working",
            Self::Stuck(_) => "standing",
        }
    }

    pub(super) fn words(self, now: Timestamp) -> String {
        match self {
            Self::Asleep => "asleep: nothing waits".to_owned(),
            Self::Held(Some(due)) => format!("held until {} (in {})", time(due), until(due, now)),
            Self::Held(None) => "held until due".to_owned(),
            Self::Unknown => "one reading so far".to_owned(),
            Self::Working => "working".to_owned(),
            Self::Stuck(since) => format!(
                "stuck: nothing finished since {} (for {})",
                time(since),
                until(now, since)
            ),
        }
    }

    /// Returns some letters for a box.
    pub(super) fn short(self, now: Timestamp) -> String {
        match self {
            Self::Asleep => "asleep".to_owned(),
            Self::Held(Some(due)) => format!("due in {}", until(due, now)),
            Self::Held(None) => "held until due".to_owned(),
            Self::Unknown => "one reading".to_owned(),
            Self::Working => "working".to_owned(),
            Self::Stuck(since) => format!("stuck for {}", until(now, since)),
        }
    }
}

fn until(later: Timestamp, earlier: Timestamp) -> String {
    duration(later.duration_since(earlier).as_secs())
}

/// Returns after which time without a finished record a stage is stuck.
pub(super) fn stuck_after(settings: &Settings, stage: Stage) -> SignedDuration {
    let batch = match stage {
        Stage::EventWriter => settings.event_batch.wait,
        Stage::ResultProcessor => settings.result_batch.wait,
        _ => Duration::ZERO,
    };
    SignedDuration::try_from(STUCK_AFTER + batch).unwrap_or(SignedDuration::MAX)
}

/// Returns the state of a stage in one topic.
pub(super) fn of_topic(topic: &TopicFlow, stuck_after: SignedDuration, now: Timestamp) -> State {
    if topic.lag == 0 {
        let has_worked = topic.finished.is_some_and(|rate| rate > 0.0);
        return if has_worked { State::Working } else { State::Asleep };
    }
    // A retry stands until it is due, and is stuck only from then on.
    let standing_since = match topic.next_due {
        _ if !topic.is_retry() => topic.stands_since,
        None => return State::Held(None),
        Some(due) if due > now => return State::Held(Some(due)),
        Some(due) => topic.stands_since.map(|since| since.max(due)),
    };
    match standing_since {
        Some(since) if now.duration_since(since) >= stuck_after => State::Stuck(since),
        _ if topic.finished.is_none() => State::Unknown,
        _ => State::Working,
    }
}

/// Returns the state of a stage: that of its worst topic, and of several retries the first.
pub(super) fn of_stage(topics: impl Iterator<Item = State>) -> State {
    let worst = topics.reduce(|one, other| match (one, other) {
        (State::Stuck(one), State::Stuck(other)) => State::Stuck(one.min(other)),
        (State::Held(Some(one)), State::Held(Some(other))) => State::Held(Some(one.min(other))),
        _ => one.max(other),
    });
    worst.unwrap_or(State::Unknown)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn topic(stage: Stage) -> TopicFlow {
        TopicFlow {
            stage,
            topic: "t".to_owned(),
            lag: 3,
            oldest: None,
            next_due: None,
            written: Some(1.0),
            finished: Some(1.0),
            stands_since: None,
            written_in_all: 0,
            history: Vec::new(),
        }
    }

    #[test]
    fn the_state_says_whether_somebody_must_act() {
        let now = at(1_000);
        let download = || topic(Stage::Download);
        let retry = || topic(Stage::RetryScheduler);
        let standing = |since, topic| TopicFlow {
            stands_since: Some(at(since)),
            ..topic
        };
        let due = |second, topic| TopicFlow {
            next_due: Some(at(second)),
            ..topic
        };
        let asleep = TopicFlow {
            lag: 0,
            finished: Some(0.0),
            ..standing(0, download())
        };
        let done = TopicFlow { lag: 0, ..download() };
        let first = TopicFlow {
            finished: None,
            ..download()
        };
        for (topic, expected) in [
            (asleep, State::Asleep),
            (done, State::Working),
            (first, State::Unknown),
            (download(), State::Working),
            (standing(971, download()), State::Working),
            (standing(970, download()), State::Stuck(at(970))),
            (retry(), State::Held(None)),
            (standing(0, due(1_001, retry())), State::Held(Some(at(1_001)))),
            // Due for 10 s, and for a minute.
            (standing(0, due(990, retry())), State::Working),
            (standing(0, due(940, retry())), State::Stuck(at(940))),
            (standing(950, due(940, retry())), State::Stuck(at(950))),
        ] {
            assert_eq!(
                of_topic(&topic, SignedDuration::from_secs(30), now),
                expected,
                "{topic:?}"
            );
        }
    }

    #[test]
    fn a_stage_is_as_its_worst_topic() {
        use State::{Asleep, Held, Stuck, Unknown, Working};
        for (topics, expected) in [
            (vec![], Unknown),
            (vec![Asleep, Asleep], Asleep),
            (vec![Held(Some(at(9))), Asleep, Held(Some(at(5)))], Held(Some(at(5)))),
            (vec![Held(None), Working], Working),
            (vec![Stuck(at(7)), Working, Stuck(at(3))], Stuck(at(3))),
        ] {
            assert_eq!(of_stage(topics.into_iter()), expected);
        }
        assert_eq!(
            Stuck(at(0)).words(at(61)),
            "stuck: nothing finished since 1970-01-01 00:00:00 (for 1m 1s)"
        );
        assert_eq!(Held(Some(at(65))).short(at(5)), "due in 1m");
    }
}

//! Routes the outcome of a message to topics. A failed message goes to a retry topic, or becomes a dead letter with a result,
//! or a dead letter alone.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::emit::{Emitted, Encoded};
use crate::size_limit::{self, MAX_KEY_BYTES};
use xact_contracts::category::Category;
use xact_contracts::markers;
use xact_contracts::messages::{DeadLetter, DownloadResult, DownloadTask, Problem, metadata};
use xact_contracts::time;
use xact_contracts::topology::{Stage, TopicRole, Topics};
use xact_kafka::{Outgoing, Record};
use xact_telemetry::trace_context::TraceContext;

/// Routes the outcomes of a stage's messages.
#[derive(Debug, Clone)]
pub(crate) struct Routing {
    pub(crate) stage: Stage,
    /// Configured names, with the retry delays.
    pub(crate) topics: Topics,
    /// `MAX_RETRIES`.
    pub(crate) max_retries: u32,
}

/// The record that an outcome belongs to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RecordContext<'a> {
    pub(crate) record: &'a Record,
    /// Trace of the records to produce.
    pub(crate) trace: &'a TraceContext,
    pub(crate) now: Timestamp,
}

impl<'a> RecordContext<'a> {
    pub(crate) const fn new(record: &'a Record, trace: &'a TraceContext, now: Timestamp) -> Self {
        Self { record, trace, now }
    }
}

/// The records to produce for an outcome.
#[derive(Debug, Default)]
pub(crate) struct Routed {
    pub(crate) outgoing: Vec<Outgoing>,
    /// Failures among them, for the metrics.
    pub(crate) failures: Vec<(Category, FailureOutcome)>,
}

/// Where a failed message goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FailureOutcome {
    /// To a retry topic, for this delay.
    Retried(Duration),
    /// To the dead letters, because another attempt cannot succeed.
    Permanent,
    /// To the dead letters, because all attempts failed.
    Exhausted,
    /// Nowhere, because the stage produces no dead letters. The failure is only counted.
    Dropped,
}

impl Routing {
    /// Routes the messages that a handler emitted.
    pub(crate) fn emitted(&self, emitted: Vec<Emitted>, on: RecordContext<'_>) -> Routed {
        let mut routed = Routed::default();
        for message in emitted {
            match message {
                Emitted::Message(message) => self.push(&mut routed, message, on),
                Emitted::Failed(task, problem) => self.failed_task(&mut routed, *task, &problem, None, on),
            }
        }
        routed
    }

    /// Routes a failed message. A message that waits for an unavailable dependency has not failed.
    pub(crate) fn failed(
        &self,
        task: Option<DownloadTask>,
        trace_id: Option<String>,
        problem: &Problem,
        retry_after: Option<Duration>,
        on: RecordContext<'_>,
    ) -> Routed {
        let mut routed = Routed::default();
        match task {
            Some(task) => self.failed_task(&mut routed, task, problem, retry_after, on),
            None => self.dead_letter(&mut routed, trace_id, problem, on),
        }
        routed
    }

    fn failed_task(
        &self,
        routed: &mut Routed,
        task: DownloadTask,
        problem: &Problem,
        retry_after: Option<Duration>,
        on: RecordContext<'_>,
    ) {
        let category = problem.category;
        let Some((index, delay)) = self.retry_topic(problem, task.retry_count, retry_after) else {
            let result = DownloadResult::failed_permanently(&task, problem, on.now);
            self.push(routed, Encoded::new(&result), on);
            let letter = DeadLetter::of_task(task, problem, self.stage.name(), on.record.source(), on.now);
            self.push(routed, Encoded::new(&letter), on);
            let outcome = if category.is_retryable() {
                FailureOutcome::Exhausted
            } else {
                FailureOutcome::Permanent
            };
            return routed.failures.push((category, outcome));
        };
        let result = DownloadResult::failed(&task, problem, on.now);
        self.push(routed, Encoded::new(&result), on);
        let task = retried(task, problem, delay, on.now);
        routed.outgoing.push(Outgoing {
            topic: self.topics.retries[index].name.clone(),
            key: markers::truncate(&task.trace_id, MAX_KEY_BYTES),
            value: size_limit::encode_within_limit(&task),
            trace: on.trace.clone(),
        });
        routed.failures.push((category, FailureOutcome::Retried(delay)));
    }

    /// Dead-letters the bytes of a message without a task.
    fn dead_letter(&self, routed: &mut Routed, trace_id: Option<String>, problem: &Problem, on: RecordContext<'_>) {
        let mut outcome = FailureOutcome::Dropped;
        if self.stage.may_produce(TopicRole::Dlq) {
            let (payload, source) = (&on.record.payload, on.record.source());
            let letter = DeadLetter::of_payload(payload, trace_id, problem, self.stage.name(), source, on.now);
            self.push(routed, Encoded::new(&letter), on);
            outcome = FailureOutcome::Permanent;
        }
        routed.failures.push((problem.category, outcome));
    }

    /// Returns the index of the retry topic for the next attempt, and its delay: the topic for this number of retries, or a
    /// later one if the server requested a longer delay. `None` if there is no further attempt.
    fn retry_topic(
        &self,
        problem: &Problem,
        retry_count: u32,
        retry_after: Option<Duration>,
    ) -> Option<(usize, Duration)> {
        let retries = &self.topics.retries;
        if !problem.category.is_retryable() || retry_count >= self.max_retries || retries.is_empty() {
            return None;
        }
        let index = match retry_after {
            Some(wait) => retries.iter().position(|topic| topic.delay >= wait),
            None => usize::try_from(retry_count).ok(),
        };
        let last = retries.len() - 1;
        let index = index.unwrap_or(last).min(last);
        // If no topic has the delay that the server requested, the due time includes it.
        let delay = retries[index].delay.max(retry_after.unwrap_or_default());
        Some((index, delay))
    }

    fn push(&self, routed: &mut Routed, message: Encoded, on: RecordContext<'_>) {
        debug_assert!(
            self.stage.may_produce(message.role),
            "{} must not produce to {:?}: see the topology",
            self.stage,
            message.role
        );
        let key = match message.key.as_str() {
            "" => on.record.key.clone().unwrap_or_default(),
            _ => message.key,
        };
        routed.outgoing.push(Outgoing {
            topic: self.topics.of(message.role)[0].to_owned(),
            key: match key.len() {
                ..=MAX_KEY_BYTES => key,
                _ => markers::truncate(&key, MAX_KEY_BYTES),
            },
            value: message.value,
            trace: on.trace.clone(),
        });
    }
}

/// Returns the task for its next attempt.
fn retried(mut task: DownloadTask, problem: &Problem, delay: Duration, now: Timestamp) -> DownloadTask {
    let due = SignedDuration::try_from(delay).map_or(now, |delay| now.checked_add(delay).unwrap_or(now));
    task.retry_count += 1;
    let mut note = |key: &str, value: String| task.metadata.insert(key.to_owned(), value.into());
    note(metadata::RETRY_AT, time::format(due));
    note(metadata::LAST_ERROR, problem.message().to_owned());
    note(metadata::ERROR_CATEGORY, problem.category.to_string());
    task
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::size_limit::MAX_VALUE_BYTES;
    use xact_contracts::messages::{Message, Status};

    fn routing(stage: Stage) -> Routing {
        Routing {
            stage,
            topics: Topics::default(),
            max_retries: 4,
        }
    }

    fn record(payload: &[u8]) -> Record {
        Record {
            topic: "xact.downloads.pending".into(),
            partition: 1,
            offset: 9,
            timestamp: None,
            payload: payload.to_vec(),
            key: Some("key".to_owned()),
            trace: TraceContext::new(),
        }
    }

    fn task(retry_count: u32) -> DownloadTask {
        DownloadTask::decode(format!(r#"{{"trace_id":"t","media_id":"13bb61f0-41d1-548c-97c8-ebdee367da68","attachment_url":"https://a/b.pdf?sig=S",
            "blob_path":"p","status_subtype":"s","file_type":"PDF","assignment_id":"a","retry_count":{retry_count},"original_timestamp":"2024-12-31T12:00:00Z"}}"#).as_bytes()).unwrap()
    }

    fn now() -> Timestamp {
        "2025-01-01T00:00:00Z".parse().unwrap()
    }

    fn on(record: &Record) -> RecordContext<'_> {
        RecordContext::new(record, &record.trace, now())
    }

    fn fail(task: DownloadTask, category: Category, retry_after: Option<u64>) -> Routed {
        let problem = Problem::new(category, "no");
        let retry_after = retry_after.map(Duration::from_secs);
        routing(Stage::Download).failed(Some(task), None, &problem, retry_after, on(&record(b"")))
    }

    /// What a stage does with a message that it cannot read.
    fn unreadable(stage: Stage, payload: &[u8]) -> Routed {
        let problem = Problem::new(Category::Permanent, "unreadable");
        routing(stage).failed(None, None, &problem, None, on(&record(payload)))
    }

    fn topics(routed: &Routed) -> Vec<&str> {
        routed.outgoing.iter().map(|out| out.topic.as_str()).collect()
    }

    #[test]
    fn each_attempt_waits_in_the_next_topic() {
        use Category::{Auth, CircuitOpen, Transient, Unknown};
        for (count, label) in [(0, "5m"), (1, "10m"), (2, "20m"), (3, "40m")] {
            for category in [Transient, Auth, CircuitOpen, Unknown] {
                let routed = fail(task(count), category, None);
                let topic = format!("xact.downloads.pending.retry.{label}");
                assert_eq!(topics(&routed), ["xact.downloads.results", &topic]);
                let retry = DownloadTask::decode(&routed.outgoing[1].value).unwrap();
                assert_eq!(retry.retry_count, count + 1);
                let due = now().checked_add(SignedDuration::from_mins(5 * 2_i64.pow(count)));
                assert_eq!(retry.retry_at(), due.ok());
                assert_eq!(retry.metadata[metadata::ERROR_CATEGORY], category.as_str());
                let result = DownloadResult::decode(&routed.outgoing[0].value).unwrap();
                assert_eq!(result.status, Status::Failed);
            }
        }
    }

    #[test]
    fn permanent_and_exhausted_failures_are_dead_letters_with_a_result() {
        for (count, category, end) in [
            (0, Category::Permanent, FailureOutcome::Permanent),
            (4, Category::Transient, FailureOutcome::Exhausted),
            (9, Category::Unknown, FailureOutcome::Exhausted),
        ] {
            let routed = fail(task(count), category, None);
            assert_eq!(topics(&routed), ["xact.downloads.results", "xact.downloads.dlq"]);
            assert_eq!(routed.failures, [(category, end)]);
            let letter = DeadLetter::decode(&routed.outgoing[1].value).unwrap();
            assert_eq!(letter.original_task.as_ref(), Some(&task(count)));
            assert_eq!(letter.attachment_url.as_deref(), Some("https://a/b.pdf"));
            let result = DownloadResult::decode(&routed.outgoing[0].value).unwrap();
            assert_eq!(result.status, Status::FailedPermanent);
        }
    }

    #[test]
    fn retry_after_picks_the_first_topic_that_is_long_enough() {
        for (wait, label, due) in [
            (1, "5m", 300),
            (301, "10m", 600),
            (2400, "40m", 2400),
            (9000, "40m", 9000),
        ] {
            let routed = fail(task(0), Category::Transient, Some(wait));
            assert!(topics(&routed)[1].ends_with(label), "{wait}");
            let retry = DownloadTask::decode(&routed.outgoing[1].value).unwrap();
            assert_eq!(retry.retry_at(), now().checked_add(SignedDuration::from_secs(due)).ok());
        }
    }

    #[test]
    fn a_stage_that_produces_nothing_counts_what_it_cannot_read() {
        let routed = unreadable(Stage::EventWriter, b"x");
        assert!(routed.outgoing.is_empty());
        assert_eq!(routed.failures, [(Category::Permanent, FailureOutcome::Dropped)]);
    }

    #[test]
    fn a_dead_letter_keeps_the_bytes_of_its_message_and_always_fits_the_broker() {
        let routed = unreadable(Stage::EventIngester, b"\xff\x00");
        let letter = DeadLetter::decode(&routed.outgoing[0].value).unwrap();
        assert_eq!(letter.original_bytes().unwrap().unwrap(), b"\xff\x00");
        assert_eq!(routed.outgoing[0].key, "key");
        for payload in [0xff, b'x', 1].map(|byte| vec![byte; 1_000_000]) {
            let routed = unreadable(Stage::EventIngester, &payload);
            assert!(routed.outgoing[0].value.len() <= MAX_VALUE_BYTES);
            let letter = DeadLetter::decode(&routed.outgoing[0].value).unwrap();
            assert_eq!(letter.original_cut_from, Some(1_000_000));
            assert!(payload.starts_with(&letter.original_bytes().unwrap().unwrap()));
            assert_eq!(letter.source, record(&payload).source());
        }
    }

    #[test]
    fn whatever_is_huge_in_a_task_its_messages_fit_the_broker_and_stay_readable() {
        let huge = "x".repeat(900_000);
        for field in ["attachment_url", "trace_id", "blob_path", "metadata"] {
            let mut task = task(0);
            match field {
                "attachment_url" => task.attachment_url = format!("data:{huge}"),
                "trace_id" => task.trace_id.clone_from(&huge),
                "blob_path" => task.blob_path.clone_from(&huge),
                _ => drop(task.metadata.insert("note".to_owned(), huge.clone().into())),
            }
            for category in [Category::Permanent, Category::Transient] {
                let routed = fail(task.clone(), category, None);
                assert_eq!(routed.outgoing.len(), 2);
                for out in routed.outgoing {
                    let bytes = out.value.len() + 2 * out.key.len();
                    assert!(bytes < 1_000_000, "{field}: {bytes} bytes for {}", out.topic);
                    let readable = match out.topic.as_str() {
                        "xact.downloads.dlq" => DeadLetter::decode(&out.value).map(drop),
                        "xact.downloads.results" => DownloadResult::decode(&out.value).map(drop),
                        _ => DownloadTask::decode(&out.value).map(drop),
                    };
                    assert_eq!(readable, Ok(()), "{field} for {}", out.topic);
                }
            }
        }
    }
}

//! The retry-scheduler stage: sends a failed task back to the download stage when it is due.
//!
//! It only returns the due time. The runtime keeps the message until then, with its offset uncommitted.

use std::sync::Arc;

use xact_contracts::messages::DownloadTask;
use xact_contracts::topology::{Stage, TopicRole};
use xact_runtime::{Context, Emit, Factory, Failure, Handler, Limits, Outcome, Service};

/// The handler.
pub struct RetryScheduler;

/// Most tasks per partition that wait in memory until they are due, about 2 KB each. The limit applies to each partition, so that
/// tasks due in an hour do not block those due in a minute.
const WAITING_PER_PARTITION: usize = 1_500;

/// Returns the factory of the stage.
#[must_use]
pub fn factory() -> Factory {
    Arc::new(|settings| {
        let partitions = settings.topics.retries.len() * usize::try_from(TopicRole::Retry.partitions()).unwrap_or(1);
        let limits = Limits {
            concurrency: Stage::RetryScheduler.row().concurrency,
            window: WAITING_PER_PARTITION,
            // Records that were fetched when a partition pauses come on top.
            records: 2 * WAITING_PER_PARTITION * partitions,
            bytes: 64 * 1024 * 1024,
        };
        Ok(Service::each(RetryScheduler, limits))
    })
}

impl Handler for RetryScheduler {
    const STAGE: Stage = Stage::RetryScheduler;

    type Input = DownloadTask;

    async fn handle(&self, task: &DownloadTask, context: &Context) -> Result<Outcome<Self>, Failure> {
        match task.retry_at() {
            Some(due) if due > context.now => Ok(Outcome::NotBefore(due)),
            // Without a valid due time the task is due now.
            _ => Ok(Emit::new().message(task).into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use xact_contracts::messages::Message;

    async fn outcome(retry_at: &str) -> Outcome<RetryScheduler> {
        let task = DownloadTask::decode(format!(r#"{{"trace_id":"t","media_id":"13bb61f0-41d1-548c-97c8-ebdee367da68","attachment_url":"https://a/b.pdf",
            "blob_path":"p","status_subtype":"s","file_type":"PDF","assignment_id":"a","original_timestamp":"2024-12-31T12:00:00Z","metadata":{{"retry_at":{retry_at}}}}}"#).as_bytes()).unwrap();
        let context = Context {
            now: "2025-01-01T00:00:00Z".parse().unwrap(),
            record_timestamp: None,
        };
        RetryScheduler.handle(&task, &context).await.unwrap()
    }

    #[tokio::test]
    async fn a_task_waits_for_a_valid_due_time_in_the_future() {
        let Outcome::NotBefore(due) = outcome("\"2025-01-01T00:00:01Z\"").await else {
            panic!("it must wait");
        };
        assert_eq!(due, "2025-01-01T00:00:01Z".parse().unwrap());
        for retry_at in ["\"2025-01-01T00:00:00Z\"", "null", "\"soon\"", "{}"] {
            assert!(matches!(outcome(retry_at).await, Outcome::Emit(_)), "{retry_at}");
        }
    }
}

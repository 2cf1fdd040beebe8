//! What the consumer is told by librdkafka, and what ends it.

use std::sync::atomic::Ordering;

use rdkafka::consumer::Consumer as _;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use super::poller::Consumer;
use super::refusal::Refusal;
use xact_kafka::is_authorization_error;

/// Why a worker's consumer stopped by itself.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConsumeError {
    #[error("the Kafka consumer cannot be made: {0}; check the bootstrap servers and the security settings")]
    Create(KafkaError),
    #[error("the consumer is beyond repair: {0}")]
    Fatal(KafkaError),
    #[error(
        "{topic}[{partition}] went back to offset {offset}: the topic was recreated, or its offsets were reset under the running worker"
    )]
    Rewound { topic: String, partition: i32, offset: i64 },
    #[error("the client knows no broker any more, since its cluster named none for a moment: connecting anew")]
    Stranded,
    #[error("a table is behind what was read: it was restored to an earlier version. Reading again from its position")]
    TableWentBack,
    #[error(
        "a batch of records cannot be read, and the client would go on behind it ({0}): its partition is read again from the \
         committed offset. If nothing can make the batch readable, stop all workers of group {1} and skip it, which records \
         it as a dead letter: xact-pipeline offsets skip --group {1} (xact-pipeline check names topic, partition and offset)"
    )]
    Skipped(String, String),
    #[error("{0}")]
    Refused(String),
}

impl Consumer {
    /// Most errors pass by themselves or are repeated: a partition that does not move for a while is told with the last of
    /// them (`stuck`).
    pub(super) fn poll_error(&mut self, error: KafkaError) -> Result<(), ConsumeError> {
        let hooks = self.client.context();
        let skipped = hooks.skipped.lock().take();
        if let Some(reason) = skipped {
            return Err(ConsumeError::Skipped(reason, hooks.group.clone()));
        }
        match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::Fatal) => return Err(ConsumeError::Fatal(error)),
            // A restarting broker may say so of topics that it has: then there is an assignment, and it goes on.
            Some(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic)
                if hooks.partitions().is_empty() =>
            {
                hooks.joined.store(false, Ordering::Relaxed);
                hooks.health.down(
                    &hooks.worker,
                    format!(
                        "a topic is missing ({error}): create the topics with `xact-pipeline topics create`, or by the deployment"
                    ),
                );
            }
            Some(code) if is_authorization_error(code) => {
                if hooks.partitions().is_empty() {
                    hooks.joined.store(false, Ordering::Relaxed);
                }
                self.refusal = Some(Refusal::new(hooks, error.to_string()));
            }
            _ => tracing::debug!(worker = hooks.worker, %error, "poll"),
        }
        Ok(())
    }
}

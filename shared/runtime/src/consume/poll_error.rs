//! The polling loop's response to an error that a poll returned.

use std::sync::atomic::Ordering;

use rdkafka::consumer::Consumer as _;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use super::authorization_failure::AuthorizationFailure;
use super::consumer::Consumer;
use super::error::ConsumeError;
use xact_kafka::is_authorization_error;

impl Consumer {
    /// Handles an error of a poll. Most errors pass without action or recur; a partition that makes no progress for a while
    /// is reported with the last of them ([`super::stuck_partitions`]).
    pub(super) fn handle_poll_error(&mut self, error: KafkaError) -> Result<(), ConsumeError> {
        let callbacks = self.client.context();
        let skipped = callbacks.skipped_batch.lock().take();
        if let Some(reason) = skipped {
            let group = callbacks.group.clone();
            return Err(ConsumeError::BatchSkipped { reason, group });
        }
        match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::Fatal) => return Err(ConsumeError::Fatal(error)),
            // A restarting broker may report this for existing topics. With an assignment, the consumer just continues.
            Some(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic)
                if callbacks.partitions().is_empty() =>
            {
                callbacks.joined.store(false, Ordering::Relaxed);
                callbacks.health.down(
                    &callbacks.worker,
                    format!(
                        "a topic is missing ({error}): create the topics with `xact-pipeline topics create`, or by the deployment"
                    ),
                );
            }
            Some(code) if is_authorization_error(code) => {
                if callbacks.partitions().is_empty() {
                    callbacks.joined.store(false, Ordering::Relaxed);
                }
                self.authorization_failure = Some(AuthorizationFailure::report(callbacks, error.to_string()));
            }
            _ => tracing::debug!(worker = callbacks.worker, %error, "poll"),
        }
        Ok(())
    }
}

//! The time limit and the retries of one request to a broker.

use std::time::Duration;

use backon::{BlockingRetryable, ConstantBuilder};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

/// Time limit of a request, and of its retries together.
pub(crate) const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

const RETRY_DELAY: Duration = Duration::from_millis(200);

/// Repeats a request that the broker cannot serve yet: while a leader or a coordinator is elected, and before the client's
/// metadata contains a new topic. Blocks.
pub(crate) fn with_retries<T>(request: impl FnMut() -> Result<T, KafkaError>) -> Result<T, KafkaError> {
    let times = usize::try_from(REQUEST_TIMEOUT.as_millis() / RETRY_DELAY.as_millis()).unwrap_or(1);
    request
        .retry(ConstantBuilder::default().with_delay(RETRY_DELAY).with_max_times(times))
        .when(|error| {
            matches!(
                error.rdkafka_error_code(),
                Some(
                    RDKafkaErrorCode::NotLeaderForPartition
                        | RDKafkaErrorCode::LeaderNotAvailable
                        | RDKafkaErrorCode::UnknownPartition
                        | RDKafkaErrorCode::UnknownTopic
                        | RDKafkaErrorCode::UnknownTopicOrPartition
                        | RDKafkaErrorCode::NotCoordinator
                        | RDKafkaErrorCode::CoordinatorNotAvailable
                        | RDKafkaErrorCode::CoordinatorLoadInProgress
                )
            )
        })
        .call()
}

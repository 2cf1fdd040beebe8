//! Why a consumer ends although its worker was not told to stop.

use rdkafka::error::KafkaError;

/// Why a worker's consumer ended by itself. The worker starts a new one.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConsumeError {
    #[error("the Kafka consumer cannot be created: {0}; check the bootstrap servers and the security settings")]
    Create(KafkaError),
    #[error("fatal consumer error: {0}")]
    Fatal(KafkaError),
    #[error(
        "{topic}[{partition}] went back to offset {offset}: the topic was recreated, or its offsets were reset under the running worker"
    )]
    OffsetsWentBack { topic: String, partition: i32, offset: i64 },
    #[error("client lost all brokers (cluster metadata was empty); recreating the client")]
    AllBrokersLost,
    #[error("a table is behind what was read: it was restored to an earlier version. Reading again from its position")]
    TableWentBack,
    #[error(
        "a batch of records cannot be read, and the client would skip it ({reason}): its partition is read again from the \
         committed offset. If nothing can make the batch readable, stop all workers of group {group} and skip it, which \
         records it as a dead letter: xact-pipeline offsets skip --group {group} (xact-pipeline check names topic, partition \
         and offset)"
    )]
    BatchSkipped { reason: String, group: String },
    #[error("{0}")]
    RejectedByStage(String),
}

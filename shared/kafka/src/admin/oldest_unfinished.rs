//! The time of the oldest message that a stage has not finished.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use rdkafka::{Message as _, Offset, TopicPartitionList};

use crate::admin::error::AdminError;
use crate::admin::lag::{LagReader, PartitionLag};
use crate::admin::metadata_client::{MetadataClient, REQUEST_TIMEOUT};
use crate::record::written_at;
use xact_config::Settings;
use xact_contracts::topology::Stage;

/// The oldest message that a stage has not finished.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Oldest {
    /// The group has finished everything.
    NothingWaits,
    /// The oldest unfinished message was written at this time.
    Since(Timestamp),
    /// There may be unfinished messages, and their time could not be read.
    Unknown,
}

/// Returns the time of the oldest message that a stage's group has not finished. Blocks for up to some seconds.
///
/// # Errors
/// When a broker cannot be reached.
pub fn oldest_unfinished(settings: &Settings, stage: Stage) -> Result<Oldest, AdminError> {
    let lags: Vec<PartitionLag> = LagReader::new(settings)?
        .read()?
        .into_iter()
        .filter(|lag| lag.stage == stage)
        .collect();
    // A broker that restarts may briefly report no topics. This does not mean that all messages are processed.
    if lags.is_empty() {
        return Ok(Oldest::Unknown);
    }
    let behind: Vec<PartitionLag> = lags.into_iter().filter(|lag| lag.lag() > 0).collect();
    if behind.is_empty() {
        return Ok(Oldest::NothingWaits);
    }
    let cluster = settings.cluster_of(stage.row().consumes);
    let read_ahead = [("queued.max.messages.kbytes", "1024")];
    let client = MetadataClient::for_group(cluster, &settings.groups.of(stage), &read_ahead)?;
    let what = "the oldest message cannot be read";
    let mut heads = TopicPartitionList::new();
    for lag in &behind {
        heads
            .add_partition_offset(&lag.topic, lag.partition, Offset::Offset(lag.position()))
            .map_err(|error| client.explain(what, error))?;
    }
    client.assign(what, &heads)?;
    let mut oldest: Option<Timestamp> = None;
    let mut waiting: HashSet<(String, i32)> = behind.into_iter().map(|lag| (lag.topic, lag.partition)).collect();
    let deadline = Instant::now() + REQUEST_TIMEOUT;
    while !waiting.is_empty() && Instant::now() < deadline {
        let Some(Ok(message)) = client.poll(Duration::from_millis(100)) else {
            continue;
        };
        // The first message of a partition is its oldest.
        if waiting.remove(&(message.topic().to_owned(), message.partition())) {
            let Some(written) = written_at(&message) else {
                return Ok(Oldest::Unknown);
            };
            oldest = Some(oldest.map_or(written, |oldest| oldest.min(written)));
        }
    }
    Ok(match oldest {
        Some(oldest) if waiting.is_empty() => Oldest::Since(oldest),
        _ => Oldest::Unknown,
    })
}

//! The record that a group reads next.

use std::collections::BTreeMap;

use xact_config::{ClusterSettings, Settings};
use xact_contracts::topology::{Stage, TopicRole};
use xact_kafka::admin::{AdminError, PartitionLag, Probed, RecordProbe};

/// Returns the offset from which a group reads on. Expired records are skipped.
pub(crate) fn next_offset(lag: &PartitionLag) -> i64 {
    lag.committed.unwrap_or(lag.start).max(lag.start)
}

/// Returns whether a stage reads from the cluster of the events.
pub(crate) fn is_of_events(stage: Stage) -> bool {
    stage.row().consumes == TopicRole::Raw
}

/// The place of a record that a group reads next. Groups at the same place share a read.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    /// Whether it is on the cluster of the events.
    pub(crate) is_of_events: bool,
    pub(crate) topic: String,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
}

/// Reads single records, over one connection to each cluster.
pub(crate) struct NextRecords {
    events: ClusterSettings,
    internal: ClusterSettings,
    probes: BTreeMap<bool, RecordProbe>,
}

impl NextRecords {
    /// Connects when the first record is read.
    pub(crate) fn new(settings: &Settings) -> Self {
        Self {
            events: settings.cluster_of_events().clone(),
            internal: settings.internal_cluster.clone(),
            probes: BTreeMap::new(),
        }
    }

    /// Reads the record at an offset, or the next one. Blocks.
    pub(crate) fn read(
        &mut self,
        of_events: bool,
        topic: &str,
        partition: i32,
        offset: i64,
    ) -> Result<Probed, AdminError> {
        if !self.probes.contains_key(&of_events) {
            let cluster = if of_events { &self.events } else { &self.internal };
            self.probes.insert(of_events, RecordProbe::connect(cluster)?);
        }
        self.probes[&of_events].read(topic, partition, offset)
    }
}

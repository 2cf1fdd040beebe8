//! `check --deep`: what only the real services can prove. Each check leaves no trace, or says what remains.

use std::ops::ControlFlow;
use std::sync::Arc;

use super::finding::{Check, Finding, Found, named};
use crate::blocking::blocking;
use crate::files;
use crate::lakehouse::{self, Placement};
use xact_config::{ClusterSettings, Settings};
use xact_kafka::admin::{Tombstone, Tombstones, TopicReader, TopicRecord, join_and_commit, remove_group};
use xact_lake::{AttachmentRow, EventRow, FailedRow, LakehouseKind, Location};
use xact_telemetry::trace_context::TraceContext;

/// Key of the record that is sent. It is not the id of an entry, so the record settles none.
const KEY: &str = "xact-check-deep";

pub(super) fn checks(settings: &Arc<Settings>) -> Vec<Check> {
    let mut checks = vec![named("null values", null_values(settings.clone()))];
    // Two groups, because both clusters may be one namespace.
    let group = |name: &str, group: &str, cluster: &ClusterSettings, topic: &str| {
        let group = format!("{}-{group}", settings.groups.prefix);
        let (settings, cluster, topic) = (settings.clone(), cluster.clone(), topic.to_owned());
        named(name, consumer_group(settings, group, cluster, topic))
    };
    let (internal, topics) = (&settings.internal_cluster, &settings.topics);
    checks.push(group("consumer group", "check", internal, &topics.dlq));
    if let Some(events) = &settings.events_cluster {
        checks.push(group("consumer group, events", "check-events", events, &topics.raw));
    }
    checks.push(named("conditional writes", conditional_writes(settings.clone())));
    checks.push(named("lakehouse", kind(settings.clone())));
    checks
}

/// Sends a record with a null value with the settings of the producers, and reads it back. It goes to the dead-letter topic,
/// the only one where such a record has no effect: the dlq stage and the dead-letter commands ignore a tombstone that is not a
/// mark.
async fn null_values(settings: Arc<Settings>) -> Found {
    let (cluster, topic) = (&settings.internal_cluster, &settings.topics.dlq);
    let tombstone = Tombstone {
        partition: 0,
        key: KEY.to_owned(),
        headers: Vec::new(),
        trace: TraceContext::new(),
    };
    let offsets = Tombstones::new(cluster, topic)?.write(&[tombstone]).await?;
    let offset = *offsets.first().ok_or("the broker returned no offset")?;
    let reading = settings.clone();
    let record = blocking(move || read(&reading, offset)).await?;
    let at = format!("an idempotent producer wrote a null value to {topic}[0] at offset {offset}");
    Ok(match record.map(|record| (record.is_tombstone(), record.value)) {
        Some((true, None)) => Finding::ok(format_args!("{at}, and it came back as null")),
        Some((true, Some(_))) => Finding::ok(format_args!(
            "{at}, and it came back as an empty value, which the pipeline treats like null"
        )),
        Some((false, _)) => Finding::failed(format_args!(
            "{at}, and it came back with a value: do not use `dlq replay` and `dlq resolve` here, and report this as a defect"
        )),
        None => Finding::failed(format_args!(
            "{at}, and there is no record: check that the topic's cleanup policy is delete, and run the command again"
        )),
    })
}

fn read(settings: &Settings, offset: i64) -> Result<Option<TopicRecord>, xact_kafka::admin::AdminError> {
    let mut reader = TopicReader::open(&settings.internal_cluster, &settings.topics.dlq)?;
    for partition in reader.spans().keys().copied().collect::<Vec<_>>() {
        reader.begin_at(partition, if partition == 0 { offset } else { i64::MAX });
    }
    let mut found = None;
    reader.read(|record| {
        found = (record.offset == offset).then_some(record);
        ControlFlow::Break(())
    })?;
    Ok(found)
}

/// Joins a group with a name like those of the stages, commits, and removes it.
async fn consumer_group(settings: Arc<Settings>, group: String, cluster: ClusterSettings, topic: String) -> Found {
    let joined = {
        let (cluster, group, topic) = (cluster.clone(), group.clone(), topic.clone());
        blocking(move || join_and_commit(&cluster, &settings, &group, &topic)).await
    };
    let removed = remove_group(&cluster, &group).await;
    joined?;
    let done = format!("group {group} was joined to read {topic}, and an offset committed");
    Ok(Finding::ok(match removed {
        Ok(()) => format!("{done}; the group was removed"),
        Err(reason) => format!("{done}; the group remains, without members and without effect ({reason})"),
    }))
}

/// Writes a small file twice as uploads do, reads its metadata, and deletes it.
async fn conditional_writes(settings: Arc<Settings>) -> Found {
    if !matches!(
        Location::parse(&settings.onelake_base_path),
        Ok(Location::OneLake { .. })
    ) {
        return Ok(Finding::skipped("ONELAKE_BASE_PATH is not in OneLake"));
    }
    let differences = files::open(&settings)?.probe().await?;
    Ok(if differences.is_empty() {
        Finding::ok("If-None-Match: * refuses a second write, metadata is kept; the test file was deleted")
    } else {
        Finding::failed(differences.join("\n"))
    })
}

async fn kind(settings: Arc<Settings>) -> Found {
    if !settings.delta_writes {
        return Ok(Finding::skipped("ENABLE_DELTA_WRITES=false"));
    }
    let placements = [
        lakehouse::placement::<EventRow>(&settings).await,
        lakehouse::placement::<AttachmentRow>(&settings).await,
        lakehouse::placement::<FailedRow>(&settings).await,
    ];
    let mut kind = None;
    for placement in placements {
        match placement {
            Placement::NotInLakehouse => {}
            Placement::Right(found) => kind = Some(found),
            Placement::Wrong(reason) => return Ok(Finding::failed(reason)),
            Placement::Undecided(reason) | Placement::Unknown(reason) => return Ok(Finding::warning(reason)),
        }
    }
    Ok(match kind {
        None => Finding::skipped("no table is in a lakehouse"),
        Some(LakehouseKind::WithSchemas) => Finding::ok("with schemas: its tables are below Tables/<schema>/"),
        Some(LakehouseKind::WithoutSchemas | LakehouseKind::Undecided) => {
            Finding::ok("without schemas: its tables are directly below Tables/")
        }
    })
}

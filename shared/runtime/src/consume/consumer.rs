//! One worker's consumer.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use tokio_util::sync::CancellationToken;

use super::authorization_failure::AuthorizationFailure;
use super::callbacks::{Callbacks, broker_component};
use super::error::ConsumeError;
use super::in_flight::Memory;
use super::limits::Limits;
use super::stuck_partitions::StuckPartitions;
use xact_config::{ClusterSettings, OffsetReset, Settings};
use xact_kafka::{Connection, HealthReporter, Permission, TopicAuthorization, Wake, client_config};
use xact_telemetry::health::Health;

/// Longest wait for running work during a rebalance, as far as the shutdown grace period allows it. The group waits as long.
const REVOKE_TIMEOUT: Duration = Duration::from_secs(20);

/// Time in which a broker must answer a fetch, in addition to the fetch wait, or it counts as not responding.
const FETCH_RESPONSE_TIMEOUT: Duration = Duration::from_secs(10);

/// Time in which a broker must answer a request, in addition to the fetch wait: it answers the requests of one connection in
/// order, and a fetch may be before this one. The polling thread cannot wait longer, because it serves other partitions.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(3);

/// Why a worker is not ready before the group's assignment.
pub(super) const WAITING_FOR_ASSIGNMENT: &str = "waiting for the consumer group's assignment";

/// What a worker reads, and within which limits.
pub(crate) struct Subscription<'a> {
    pub(crate) worker: &'a str,
    pub(crate) settings: &'a Settings,
    pub(crate) cluster: &'a ClusterSettings,
    pub(crate) group: &'a str,
    pub(crate) topics: &'a [&'a str],
    pub(crate) limits: Limits,
    pub(crate) reset: OffsetReset,
    pub(crate) health: Health,
    /// Ends the polling loop. After it is cancelled, [`Consumer::wake`] must be woken.
    pub(crate) stop: CancellationToken,
}

/// One worker's consumer.
pub(crate) struct Consumer {
    pub(super) client: BaseConsumer<Callbacks>,
    pub(super) limits: Limits,
    pub(super) memory: Arc<Memory>,
    /// Wakes the polling thread.
    pub(crate) wake: Wake,
    pub(super) reset: OffsetReset,
    /// Time limit of a request to a broker that may have a fetch to answer first.
    pub(super) request_timeout: Duration,
    pub(super) commit_interval: Duration,
    pub(super) next_commit: Instant,
    pub(super) grace: Duration,
    pub(super) stop: CancellationToken,
    /// Partitions that are paused in librdkafka, except newly assigned ones.
    pub(super) paused: HashSet<(Arc<str>, i32)>,
    /// Whether all partitions are paused.
    pub(super) is_full: bool,
    pub(super) records_since_upkeep: u32,
    /// Time of the next attempt to resolve start positions.
    pub(super) next_start_attempt: Instant,
    pub(super) authorization_failure: Option<AuthorizationFailure>,
}

impl Consumer {
    pub(crate) fn new(subscription: Subscription<'_>) -> Result<Self, ConsumeError> {
        let (worker, settings, cluster) = (subscription.worker, subscription.settings, subscription.cluster);
        let (group, health) = (subscription.group, subscription.health);
        let reporter = HealthReporter {
            health: health.clone(),
            component: broker_component(worker),
            response_timeout: settings.fetch_wait + FETCH_RESPONSE_TIMEOUT,
        };
        let wake = Wake::default();
        let callbacks = Callbacks {
            worker: worker.to_owned(),
            group: group.to_owned(),
            stuck_partitions: StuckPartitions::new(worker, group, health.clone(), settings.fetch_wait),
            skipped_batch: Mutex::default(),
            health,
            connection: Connection::for_consumer(cluster, reporter),
            authorization: TopicAuthorization::new(Permission::Receive, subscription.topics, cluster),
            revoke_timeout: settings.shutdown_grace.min(REVOKE_TIMEOUT),
            partitions: Mutex::default(),
            newly_assigned: Mutex::default(),
            joined: AtomicBool::new(false),
            is_steady: AtomicBool::new(true),
            drained: AtomicBool::new(false),
            events_served: AtomicU64::new(0),
            wake: wake.clone(),
        };
        let mut client: BaseConsumer<Callbacks> = client_config::consumer(cluster, settings, group)
            .create_with_context(callbacks)
            .map_err(ConsumeError::Create)?;
        let waker = wake.clone();
        client.set_nonempty_callback(move || waker.wake());
        client.subscribe(subscription.topics).map_err(ConsumeError::Create)?;
        Ok(Self {
            client,
            limits: subscription.limits,
            memory: Memory::new(subscription.limits, wake.clone()),
            wake,
            reset: subscription.reset,
            request_timeout: settings.fetch_wait + REQUEST_TIMEOUT,
            commit_interval: settings.commit_interval,
            next_commit: Instant::now() + settings.commit_interval,
            grace: settings.shutdown_grace,
            stop: subscription.stop,
            paused: HashSet::new(),
            is_full: false,
            records_since_upkeep: 0,
            next_start_attempt: Instant::now(),
            authorization_failure: None,
        })
    }

    pub(super) fn callbacks(&self) -> &Callbacks {
        self.client.context()
    }
}

use super::*;
use xact_kafka::Wake;

const FETCH_WAIT: Duration = Duration::from_millis(500);

/// A partition with the unread records 5 to 9.
const UNREAD: PartitionStatistics = at(5, 10, 10);

/// All records are read.
const IDLE: PartitionStatistics = at(10, 10, 10);

const fn at(next: i64, end: i64, high: i64) -> PartitionStatistics {
    PartitionStatistics {
        next,
        end,
        high,
        has_leader: true,
        is_known: true,
    }
}

struct Watched {
    stuck_partitions: StuckPartitions,
    health: Health,
    partition: Arc<Partition>,
    errors: ReadErrors,
    now: Instant,
}

impl Watched {
    /// Each test uses its own topic, because the metrics are shared by the process.
    fn new(topic: &str) -> Self {
        let health = Health::default();
        let partition = Partition::new("g", topic.into(), 3, Wake::default());
        partition.set_paused(false);
        Self {
            stuck_partitions: StuckPartitions::new("writer", "g", health.clone(), FETCH_WAIT),
            health,
            partition,
            errors: ReadErrors::default(),
            now: Instant::now(),
        }
    }

    /// Observes the same statistics once a second.
    fn observe_for(&mut self, statistics: PartitionStatistics, seconds: u64) {
        for _ in 0..seconds {
            self.now += Duration::from_secs(1);
            self.observe(statistics, Some(&self.errors));
        }
    }

    fn observe(&self, statistics: PartitionStatistics, errors: Option<&ReadErrors>) {
        let observed = [(Arc::clone(&self.partition), statistics)];
        self.stuck_partitions.observe(&observed, errors, self.now);
    }

    fn reason(&self) -> Option<String> {
        let reasons = self.health.not_ready();
        reasons.get(&format!("writer/{}[3]", self.partition.topic)).cloned()
    }

    fn gauge(&self) -> i64 {
        metrics().partition_stuck(&self.partition.topic, "3", "g").get()
    }
}

#[test]
fn a_partition_with_progress_or_nothing_to_read_is_not_stuck() {
    let mut watched = Watched::new("well");
    watched.observe_for(IDLE, 100);
    for next in 5..60 {
        watched.observe_for(at(next, 100, 100), 20);
    }
    assert_eq!((watched.reason(), watched.gauge()), (None, 0));
}

#[test]
fn an_error_that_names_the_position_is_reported_soon_with_the_command() {
    let mut watched = Watched::new("damaged");
    watched.observe_for(UNREAD, 4);
    let error = "Decompression of message at 5 of 70 bytes failed";
    watched.errors.add(error, watched.now);
    assert_eq!(watched.reason(), None);
    watched.observe_for(UNREAD, 4);
    let reason = watched.reason().unwrap();
    for words in [
        "damaged[3] holds records from offset 5",
        "Decompression of message at 5",
        "offsets skip --group g --topic damaged --partition 3 --offset 5",
    ] {
        assert!(reason.contains(words), "{reason}");
    }
    assert_eq!(watched.gauge(), 1);
    watched.observe_for(IDLE, 1);
    assert_eq!((watched.reason(), watched.gauge()), (None, 0));
}

#[test]
fn each_cause_has_its_own_text() {
    let (mut unknown, mut leaderless) = (UNREAD, UNREAD);
    unknown.is_known = false;
    leaderless.has_leader = false;
    for (name, statistics, seconds, words) in [
        ("unknown", unknown, 33, "create the topic again"),
        ("leaderless", leaderless, 33, "has no leader"),
        ("failing", at(5, -1, -1), 33, "cannot be fetched"),
        ("open", at(5, 5, 10), 1203, "transaction"),
        ("silent", UNREAD, 33, "the client reports no error"),
    ] {
        let mut watched = Watched::new(name);
        watched.observe_for(statistics, seconds - 3);
        assert_eq!(watched.reason(), None, "{name}");
        watched.observe_for(statistics, 3);
        let reason = watched.reason().unwrap();
        assert!(reason.contains(words), "{name}: {reason}");
    }
}

#[test]
fn a_paused_partition_or_one_without_a_broker_is_not_stuck() {
    let mut watched = Watched::new("paused");
    watched.partition.set_paused(true);
    watched.observe_for(UNREAD, 100);
    assert_eq!(watched.reason(), None);
    watched.partition.set_paused(false);
    watched.observe_for(UNREAD, 20);
    for _ in 0..100 {
        watched.now += Duration::from_secs(1);
        watched.observe(UNREAD, None);
    }
    watched.observe_for(UNREAD, 20);
    assert_eq!(watched.reason(), None, "the broker was away in between");
}

#[test]
fn time_of_a_blocked_thread_does_not_count() {
    let mut watched = Watched::new("held-up");
    watched.observe_for(UNREAD, 1);
    watched.now += Duration::from_secs(300);
    // Records queued in the meantime are delivered immediately.
    for _ in 0..300 {
        watched.observe(UNREAD, Some(&watched.errors));
    }
    assert_eq!(watched.reason(), None);
}

#[test]
fn a_revoked_partition_is_forgotten() {
    let mut watched = Watched::new("gone");
    watched.observe_for(UNREAD, 40);
    assert!(watched.reason().is_some());
    watched.stuck_partitions.forget(&watched.partition);
    assert_eq!(watched.reason(), None);
    let metrics = xact_telemetry::metrics::render();
    let mut of_partition = metrics.lines().filter(|line| line.contains("topic=\"gone\""));
    // The bytes that the topic has delivered stay counted.
    assert!(
        of_partition.all(|line| line.starts_with("kafka_messages_consumed_bytes_total")),
        "{metrics}"
    );
}

#[test]
fn a_reason_is_reported_again_only_when_it_changes() {
    let mut watched = Watched::new("twice");
    let mut reported = Vec::new();
    for second in 0..60 {
        // Two partitions at the same offset, whose errors come in turn.
        let size = 70 + second % 2;
        let error = format!("message at 5 of {size} bytes failed");
        watched.errors.add(&error, watched.now);
        watched.observe_for(UNREAD, 1);
        reported.extend(watched.reason());
    }
    reported.dedup();
    assert_eq!(reported.len(), 1, "{reported:?}");
    let has_both = reported[0].contains("of 70 bytes") && reported[0].contains("of 71 bytes");
    assert!(has_both, "{reported:?}");
    for _ in 0..40 {
        watched.errors.add("message at 5 is of another kind", watched.now);
        watched.observe_for(UNREAD, 1);
        reported.extend(watched.reason());
    }
    reported.dedup();
    assert_eq!(reported.len(), 2, "{reported:?}");
}

use super::*;
use xact_kafka::Wake;

const FETCH_WAIT: Duration = Duration::from_millis(500);

/// A partition with records from 5 to 9 that were not read.
const WAITING: Reading = Reading {
    next: 5,
    end: 10,
    high: 10,
    has_leader: true,
    is_known: true,
};

/// All of it is read.
const IDLE: Reading = Reading { next: 10, ..WAITING };

struct Watched {
    standstills: Standstills,
    health: Health,
    partition: Arc<Partition>,
    errors: ReadErrors,
    now: Instant,
}

impl Watched {
    /// Each test has a topic of its own, for the metrics are the process's.
    fn new(topic: &str) -> Self {
        let health = Health::default();
        let partition = Partition::new("g", topic.into(), 3, Wake::default());
        partition.set_paused(false);
        Self {
            standstills: Standstills::new("writer", "g", health.clone(), FETCH_WAIT),
            health,
            partition,
            errors: ReadErrors::default(),
            now: Instant::now(),
        }
    }

    /// Shows this reading once a second, for so many seconds.
    fn see(&mut self, reading: Reading, seconds: u64) {
        for _ in 0..seconds {
            self.now += Duration::from_secs(1);
            self.look(reading, Some(&self.errors));
        }
    }

    fn look(&self, reading: Reading, errors: Option<&ReadErrors>) {
        let readings = [(Arc::clone(&self.partition), reading)];
        self.standstills.look(&readings, errors, self.now);
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
fn a_partition_that_moves_or_has_nothing_to_read_is_well() {
    let mut watched = Watched::new("well");
    watched.see(IDLE, 100);
    for next in 5..60 {
        watched.see(
            Reading {
                next,
                end: 100,
                high: 100,
                ..WAITING
            },
            20,
        );
    }
    assert_eq!((watched.reason(), watched.gauge()), (None, 0));
}

#[test]
fn an_error_that_names_the_position_is_told_soon_with_the_way_out() {
    let mut watched = Watched::new("damaged");
    watched.see(WAITING, 4);
    watched
        .errors
        .add("Decompression of message at 5 of 70 bytes failed", watched.now);
    assert_eq!(watched.reason(), None);
    watched.see(WAITING, 4);
    let reason = watched.reason().unwrap();
    for words in [
        "damaged[3] holds records from offset 5",
        "Decompression of message at 5",
        "offsets skip --group g --topic damaged --partition 3 --offset 5",
    ] {
        assert!(reason.contains(words), "{reason}");
    }
    assert_eq!(watched.gauge(), 1);
    watched.see(IDLE, 1);
    assert_eq!((watched.reason(), watched.gauge()), (None, 0));
}

#[test]
fn a_partition_of_which_the_client_says_nothing_is_told_after_a_while() {
    let mut watched = Watched::new("silent");
    watched.see(WAITING, 30);
    assert_eq!(watched.reason(), None);
    watched.see(WAITING, 3);
    assert!(watched.reason().unwrap().contains("the client says nothing of it"));
}

#[test]
fn each_cause_has_a_text_of_its_own() {
    for (name, reading, seconds, words) in [
        (
            "unknown",
            Reading {
                is_known: false,
                ..WAITING
            },
            33,
            "create the topic again",
        ),
        (
            "leaderless",
            Reading {
                has_leader: false,
                ..WAITING
            },
            33,
            "has no leader",
        ),
        (
            "failing",
            Reading {
                high: -1,
                end: -1,
                ..WAITING
            },
            33,
            "cannot be fetched",
        ),
        (
            "open",
            Reading {
                next: 5,
                end: 5,
                ..WAITING
            },
            1203,
            "transaction",
        ),
    ] {
        let mut watched = Watched::new(name);
        watched.see(reading, seconds - 3);
        assert_eq!(watched.reason(), None, "{name}");
        watched.see(reading, 3);
        assert!(
            watched.reason().unwrap().contains(words),
            "{name}: {:?}",
            watched.reason()
        );
    }
}

#[test]
fn what_we_hold_back_ourselves_and_what_has_no_broker_is_not_stuck() {
    let mut watched = Watched::new("paused");
    watched.partition.set_paused(true);
    watched.see(WAITING, 100);
    assert_eq!(watched.reason(), None);
    watched.partition.set_paused(false);
    watched.see(WAITING, 20);
    for _ in 0..100 {
        watched.now += Duration::from_secs(1);
        watched.look(WAITING, None);
    }
    watched.see(WAITING, 20);
    assert_eq!(watched.reason(), None, "the broker was away in between");
}

#[test]
fn a_thread_that_was_held_up_does_not_count_the_time() {
    let mut watched = Watched::new("held-up");
    watched.see(WAITING, 1);
    watched.now += Duration::from_secs(300);
    // What was queued meanwhile comes at once.
    for _ in 0..300 {
        watched.look(WAITING, Some(&watched.errors));
    }
    assert_eq!(watched.reason(), None);
}

#[test]
fn a_partition_that_goes_takes_its_reason_with_it() {
    let mut watched = Watched::new("gone");
    watched.see(WAITING, 40);
    assert!(watched.reason().is_some());
    watched.standstills.forget(&watched.partition);
    assert_eq!(watched.reason(), None);
    assert!(!xact_telemetry::metrics::render().contains("topic=\"gone\""));
}

#[test]
fn a_reason_is_told_again_only_when_it_has_changed() {
    let mut watched = Watched::new("twice");
    let mut told = Vec::new();
    for second in 0..60 {
        // Two partitions at the same offset, whose errors come in turn.
        let size = 70 + second % 2;
        watched
            .errors
            .add(&format!("message at 5 of {size} bytes failed"), watched.now);
        watched.see(WAITING, 1);
        told.extend(watched.reason());
    }
    told.dedup();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(
        told[0].contains("of 70 bytes") && told[0].contains("of 71 bytes"),
        "{told:?}"
    );
    for _ in 0..40 {
        watched.errors.add("message at 5 is of another kind", watched.now);
        watched.see(WAITING, 1);
        told.extend(watched.reason());
    }
    told.dedup();
    assert_eq!(told.len(), 2, "{told:?}");
}

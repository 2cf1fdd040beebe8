//! CPU time and network traffic of idle handlers. Container Apps bills a replica at the idle rate only while it uses less than
//! 0.01 core and receives less than 1,000 bytes a second.

use std::time::Duration;

use xact_testkit::idle::observe;
use xact_testkit::{Fleet, Kafka, Result};

/// Long enough that requests which come every 30 s are in it, or weigh little.
const OBSERVED: Duration = Duration::from_secs(20);

/// Received from Kafka, in bytes a second: half of what is billed as idle, for the bytes of TCP, IP and TLS come on top.
const RECEIVED: f64 = 500.0;

/// Wake-ups of all threads a second. Librdkafka's own ten threads have about 15 together; a thread that looks for work every
/// 100 ms adds 10 to them, and one that does every 20 ms adds 50.
const WAKE_UPS: f64 = 22.0;

#[test]
fn an_idle_handler_uses_little_cpu_and_network() -> Result<()> {
    // As it is delivered: the fleet's own settings are quicker.
    let settings = [
        ("COMMIT_INTERVAL_MS", "1000"),
        ("KAFKA_SESSION_TIMEOUT_MS", "30000"),
        ("LOG_LEVEL", "INFO"),
    ];
    // A separate broker, because the topics of other tests would be in its responses.
    let kafka = Kafka::start()?;
    let mut fleet = Fleet::new(kafka.bootstrap(), "idle", &settings)?;
    let costs = observe(&kafka, &mut fleet, OBSERVED)?;
    let is_idle = costs.iter().all(|it| it.received < RECEIVED && it.wake_ups < WAKE_UPS);
    assert!(is_idle, "{costs:#?}");
    Ok(())
}

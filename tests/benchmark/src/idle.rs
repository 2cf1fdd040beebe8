//! Measures what each handler costs while it is idle.

use std::time::Duration;

use crate::bench::Bench;
use crate::report::Report;
use xact_testkit::{Result, idle::observe};

const OBSERVED: Duration = Duration::from_secs(60);

pub(crate) fn measure(bench: &mut Bench, report: &mut Report) -> Result<()> {
    for cost in observe(&bench.kafka, &mut bench.fleet, OBSERVED)? {
        let name = &cost.name;
        report.figure(format!("{name}, idle: share of a core"), "%", cost.cores * 100.0);
        report.figure(format!("{name}, idle: received from Kafka"), "bytes/s", cost.received);
        report.figure(format!("{name}, idle: wake-ups"), "1/s", cost.wake_ups);
    }
    Ok(())
}

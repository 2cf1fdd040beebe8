//! Measures what each handler costs while it is idle.

use std::time::Duration;

use crate::bench::Bench;
use crate::report::Report;
use xact_testkit::Result;
use xact_testkit::Running;
use xact_testkit::idle::{Observed, observe};
use xact_testkit::kafka::Proxy;
use xact_testkit::stages::STAGES;

const OBSERVED: Duration = Duration::from_secs(60);

pub(crate) fn measure(bench: &Bench, report: &mut Report) -> Result<()> {
    let mut handlers: Vec<(Running, Proxy)> = Vec::new();
    for (stage, _, _) in STAGES {
        let proxy = bench.kafka.proxy()?;
        let settings = [("LOCAL_KAFKA_BOOTSTRAP_SERVERS", proxy.address())];
        let settings = settings.each_ref().map(|(name, value)| (*name, value.as_str()));
        handlers.push((bench.spawn(stage, &settings)?, proxy));
    }
    for (handler, _) in &mut handlers {
        handler.wait_ready()?;
    }
    let observed: Vec<Observed<'_>> = handlers
        .iter()
        .map(|(running, proxy)| Observed { running, proxy })
        .collect();
    for cost in observe(&observed, OBSERVED)? {
        let name = &cost.name;
        report.figure(format!("{name}, idle: share of a core"), "%", cost.cores * 100.0);
        report.figure(format!("{name}, idle: received from Kafka"), "bytes/s", cost.received);
        report.figure(format!("{name}, idle: wake-ups"), "1/s", cost.wake_ups);
    }
    Ok(())
}

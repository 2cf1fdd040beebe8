//! The demo: sends sample events through the running pipeline and counts the results in the lake and the tables alone.
//!
//! [`events`] generates the events, [`sender`] sends them no faster than the broker can keep them, [`progress`] shows the
//! progress, [`verify`] reads the tables and compares them with what was sent, [`report`] prints the results.

pub(crate) mod events;
mod progress;
mod report;
pub(crate) mod sender;
mod verify;

use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use crate::dev::Dev;
use crate::outcome::{CommandError, CommandResult, ExitStatus};
use events::Sample;
use report::Processing;
use sender::Sender;
use xact_config::Settings;
use xact_runtime::process::Process;

/// After this time without any change of the lag the demo counts what is there.
const STALL_TIMEOUT: Duration = Duration::from_secs(120);

/// Time between two readings of the lag while the pipeline finishes.
const LAG_POLL_INTERVAL: Duration = Duration::from_millis(250);

/// Maximum wait for the stages to become ready.
const READY_TIMEOUT: Duration = Duration::from_secs(60);

/// Sends `count` events, waits until all groups have finished, verifies and reports.
pub(crate) async fn run(
    dev: &Dev,
    settings: &Settings,
    process: &Process,
    count: u64,
    drain: &CancellationToken,
) -> CommandResult {
    let run = Timestamp::now().strftime("%Y%m%d-%H%M%S").to_string();
    let manifest = dev.folder.join(format!("demo-{run}.jsonl"));
    let samples = Sample::series(&run, count);
    let started = Instant::now();
    let progress = progress::Progress::start(count);
    let max_lag = if dev.is_embedded() {
        sender::MAX_EMBEDDED_LAG
    } else {
        sender::MAX_BROKER_LAG
    };
    let mut sender = Sender::connect(settings, max_lag)?;
    let mut sent: Vec<Sample> = Vec::new();
    wait_ready(process, drain).await;
    for sample in samples {
        let Some(sample) = sender.send(sample, drain).await? else {
            break;
        };
        sent.push(sample);
    }
    sender.flush(drain).await?;
    write_manifest(&manifest, &sent)?;
    let processing = wait_finished(&mut sender, drain).await?;
    progress.stop();
    let (Some(processing), false) = (processing, drain.is_cancelled()) else {
        report::interrupted(dev, settings, sent.len(), count, &manifest);
        return Ok(ExitStatus::No);
    };
    let elapsed = started.elapsed();
    let results = verify::verify(settings, sent).await?;
    report::print(dev, settings, &results, elapsed, &manifest, processing);
    Ok(ExitStatus::from(
        processing == Processing::Finished && results.is_well(),
    ))
}

/// Waits until the groups have their partitions: the measurement starts then.
async fn wait_ready(process: &Process, drain: &CancellationToken) {
    let deadline = Instant::now() + READY_TIMEOUT;
    while !process.shared.health.not_ready().is_empty() && Instant::now() < deadline && !drain.is_cancelled() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Waits until no group has lag, or the lag no longer changes; `None` if the process drains before.
async fn wait_finished(sender: &mut Sender, drain: &CancellationToken) -> Result<Option<Processing>, CommandError> {
    let mut readings_without_lag = 0;
    let mut last = (u64::MAX, Instant::now());
    while !drain.is_cancelled() {
        let lag = sender.total_lag().await?;
        if lag != last.0 {
            last = (lag, Instant::now());
        }
        // A stage may commit between the readings of its own lag and of the next stage's lag, so one reading is not enough.
        readings_without_lag = if lag == 0 { readings_without_lag + 1 } else { 0 };
        if readings_without_lag >= 2 {
            return Ok(Some(Processing::Finished));
        }
        if last.1.elapsed() > STALL_TIMEOUT {
            return Ok(Some(Processing::Stalled));
        }
        tokio::time::sleep(LAG_POLL_INTERVAL).await;
    }
    Ok(None)
}

/// Writes what was sent, one event per line, for independent verification.
fn write_manifest(path: &Path, sent: &[Sample]) -> std::io::Result<()> {
    let mut file = std::io::BufWriter::new(std::fs::File::create(path)?);
    for sample in sent {
        writeln!(file, "{}", sample.manifest())?;
    }
    file.flush()
}

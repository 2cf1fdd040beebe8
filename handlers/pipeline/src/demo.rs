//! The demo: sends sample events through the running pipeline and counts, from lake and tables alone, what came of them.
//!
//! [`events`] makes them, [`sender`] sends them no faster than the broker can keep them, [`progress`] shows the way,
//! [`verify`] reads what is there at the end, [`report`] prints it.

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
use crate::outcome::{CommandResult, ExitStatus};
use events::Sample;
use sender::Sender;
use xact_config::Settings;
use xact_runtime::process::Process;

/// Without any movement for so long the demo gives up and counts what is there.
const STUCK: Duration = Duration::from_secs(120);

/// Between two looks at lag while the pipeline finishes.
const LOOK: Duration = Duration::from_millis(250);

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
    let most = if dev.is_embedded() {
        sender::EMBEDDED_LAG
    } else {
        sender::BROKER_LAG
    };
    let mut sender = Sender::connect(settings, most).await?;
    let mut sent: Vec<Sample> = Vec::new();
    wait_ready(process, drain).await;
    for sample in samples {
        let Some(sample) = sender.send(sample, drain).await? else {
            break;
        };
        sent.push(sample);
    }
    sender.finish(drain).await?;
    write_manifest(&manifest, &sent)?;
    let complete = !drain.is_cancelled() && finish(&mut sender, drain).await?;
    progress.stop();
    if drain.is_cancelled() {
        report::interrupted(dev, settings, sent.len(), count, &manifest);
        return Ok(ExitStatus::No);
    }
    let elapsed = started.elapsed();
    let verified = verify::verify(settings, sent).await?;
    report::print(dev, settings, &verified, elapsed, &manifest, complete);
    Ok(ExitStatus::from(complete && verified.is_well()))
}

/// Measuring begins when the groups have their partitions.
async fn wait_ready(process: &Process, drain: &CancellationToken) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !process.shared.health.not_ready().is_empty() && Instant::now() < deadline && !drain.is_cancelled() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Waits until no group has lag; false when nothing moves any more.
async fn finish(
    sender: &mut Sender,
    drain: &CancellationToken,
) -> Result<bool, Box<dyn std::error::Error + Send + Sync>> {
    let mut quiet = 0;
    let mut last = (u64::MAX, Instant::now());
    while !drain.is_cancelled() {
        let lag = sender.total_lag().await?;
        if lag != last.0 {
            last = (lag, Instant::now());
        }
        quiet = if lag == 0 { quiet + 1 } else { 0 };
        // One stage's position may be committed a moment before the next stage's topic is looked at: look twice.
        if quiet >= 2 {
            return Ok(true);
        }
        if last.1.elapsed() > STUCK {
            return Ok(false);
        }
        tokio::time::sleep(LOOK).await;
    }
    Ok(false)
}

/// What was sent, one event a line: for whoever wants to check it independently.
fn write_manifest(path: &Path, sent: &[Sample]) -> std::io::Result<()> {
    let mut file = std::io::BufWriter::new(std::fs::File::create(path)?);
    for sample in sent {
        writeln!(file, "{}", sample.manifest())?;
    }
    file.flush()
}

//! `demo --events N`: sends sample events to the raw topic, for a pipeline that runs elsewhere.

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use crate::demo::events::Sample;
use crate::demo::sender::{MAX_BROKER_LAG, Sender};
use crate::outcome::{CommandResult, ExitStatus};
use crate::ui;
use xact_config::{Environment, Settings};

/// Sends the events, no faster than the pipeline processes them.
pub(crate) async fn run(environment: &Environment, events: u64) -> CommandResult {
    let settings = Settings::from_environment(environment)?;
    let stop = CancellationToken::new();
    xact_runtime::shutdown::on_signals(stop.clone())?;
    let mut sender = Sender::connect(&settings, MAX_BROKER_LAG)?;
    let run = Timestamp::now().strftime("%Y%m%d-%H%M%S").to_string();
    let mut sent = 0;
    for sample in Sample::series(&run, events) {
        if sender.send(sample, &stop).await?.is_none() {
            break;
        }
        sent += 1;
    }
    sender.flush(&stop).await?;
    ui::line(format_args!(
        "{sent} events sent to {}: their trace ids begin with demo-{run}-",
        settings.topics.raw
    ));
    Ok(ExitStatus::from(sent == events))
}

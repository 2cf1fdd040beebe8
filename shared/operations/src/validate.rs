//! The smoke test of a rollout: sends one event and follows it to the file and the rows.

mod follower;

pub use follower::Step;

use std::time::Duration;

use clap::Args;
use serde::Serialize;
use tracing::Instrument as _;

use crate::error::{OperationError, refuse};
use crate::lakehouse::{self, Placement};
use follower::{Follower, Steps};
use xact_config::Settings;
use xact_contracts::file_rules;
use xact_contracts::redaction::redact_url;
use xact_lake::{AttachmentRow, EventRow, FailedRow};

/// The path of a valid file on the sample server of a development run.
const SAMPLE_PATH: &str = "ok/20000/validate/sample.pdf";

/// What is sent, and how long it is waited for.
#[derive(Debug, Clone, Args)]
pub struct ValidateRequest {
    /// A URL that the pipeline may download: https, an allowed host, a file of an allowed type. In development the
    /// sample server has one
    #[arg(long, value_name = "URL")]
    pub attachment: Option<String>,
    /// How long to wait for the rows, in seconds. Stages that sleep at zero replicas take about a minute to wake
    #[arg(long, value_name = "SECONDS", default_value_t = 300, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub timeout: u64,
}

/// The answer of [`validate`].
#[derive(Debug, Clone, Serialize)]
pub struct ValidateAnswer {
    /// The trace id of the event.
    pub trace_id: String,
    /// The id of the distributed trace (W3C), which has a span of this run and those of all stages.
    pub trace: String,
    /// What happened, in this order.
    pub steps: Vec<Step>,
    /// Why the event did not arrive; `None`: it did.
    pub failure: Option<String>,
}

/// Sends one event and follows it until everything is there, or something failed. `report` is called with each step.
///
/// # Errors
/// When the event cannot be sent or followed. An event that did not arrive is an answer, not an error.
pub async fn validate(
    settings: &Settings,
    request: ValidateRequest,
    report: impl FnMut(&Step),
) -> Result<ValidateAnswer, OperationError> {
    if !settings.delta_writes {
        let text = "ENABLE_DELTA_WRITES=false: without its rows an event cannot be followed";
        return refuse(text);
    }
    for placement in [
        lakehouse::placement::<EventRow>(settings).await,
        lakehouse::placement::<AttachmentRow>(settings).await,
        lakehouse::placement::<FailedRow>(settings).await,
    ] {
        if let Placement::Wrong(reason) = placement {
            return refuse(reason);
        }
    }
    let attachment = attachment(settings, request.attachment)?;
    let follower = Follower::new(settings, &attachment)?;
    let span = tracing::info_span!("validate", trace_id = follower.trace_id);
    let trace = xact_telemetry::begin_trace(&span);
    let trace_id = format!("{:032x}", trace.ids().0);
    let mut steps = Steps::new(report);
    let following = async {
        follower.send(settings, &attachment, trace).await?;
        steps.now(
            "event acknowledged",
            format!("{} on {}, trace {trace_id}", follower.trace_id, settings.topics.raw),
        );
        let timeout = Duration::from_secs(request.timeout);
        Ok::<_, OperationError>(match tokio::time::timeout(timeout, follower.follow(&mut steps)).await {
            Ok(followed) => followed.err().map(|error| error.to_string()),
            Err(_) => Some(format!(
                "nothing more came within {} s: see `xact-pipeline topics lag` for the stage that is behind, its \
                 /health/ready, and `xact-pipeline check`",
                request.timeout
            )),
        })
    };
    let failure = following.instrument(span).await?;
    Ok(ValidateAnswer {
        trace_id: follower.trace_id,
        trace: trace_id,
        steps: steps.done,
        failure,
    })
}

/// Returns the URL to download. It is checked by the rules of the pipeline, so that a mistake is reported at once.
fn attachment(settings: &Settings, given: Option<String>) -> Result<String, String> {
    let url = match given {
        Some(url) => url.trim().to_owned(),
        None if settings.dev.is_some() => {
            let host = settings
                .allowed_hosts
                .first()
                .ok_or("ALLOWED_ATTACHMENT_DOMAINS is empty")?;
            format!("https://{host}/{SAMPLE_PATH}")
        }
        None => {
            let text = "pass --attachment URL: a file that the pipeline may download (`xact-pipeline explain URL` shows whether it may)";
            return Err(text.to_owned());
        }
    };
    let parsed = settings.url_policy().check(&url);
    let parsed = parsed.map_err(|error| format!("{}: {error}", redact_url(&url)))?;
    file_rules::named_type(&parsed).map_err(|error| format!("{}: {error}", redact_url(&url)))?;
    Ok(url)
}

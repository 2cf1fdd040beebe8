//! The smoke test of a rollout: sends one event and follows it to the file and the rows.

mod error;
mod follower;
mod steps;

pub use error::ValidateError;
pub use steps::Step;

use std::time::Duration;

use serde::Serialize;

use follower::{FollowError, Follower};
use steps::Steps;
use xact_config::Settings;
use xact_contracts::file_rules;
use xact_contracts::redaction::redact_url;

/// The path of a valid file on the sample server of a development run.
const SAMPLE_PATH: &str = "ok/20000/validate/sample.pdf";

/// What is sent, and how long it is waited for.
#[derive(Debug, Clone)]
pub struct ValidateRequest {
    /// The URL of a file that the pipeline may download; in development, the sample server has one.
    pub attachment: Option<String>,
    /// The maximum wait for the rows.
    pub timeout: Duration,
}

/// The answer of [`validate`].
#[derive(Debug, Clone, Serialize)]
pub struct ValidateAnswer {
    /// The trace id of the event.
    pub trace_id: String,
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
) -> Result<ValidateAnswer, ValidateError> {
    if !settings.delta_writes {
        return Err(ValidateError::NoTables);
    }
    let attachment = attachment(settings, request.attachment)?;
    let follower = Follower::new(settings, &attachment)?;
    let mut steps = Steps::new(report);
    follower.send(settings, &attachment).await?;
    steps.now(
        "event acknowledged",
        format!("{} on {}", follower.trace_id, settings.topics.raw),
    );
    let followed = tokio::time::timeout(request.timeout, follower.follow(&mut steps)).await;
    let failure = match followed {
        Ok(followed) => followed.err().as_ref().map(FollowError::to_string),
        Err(_) => Some(format!(
            "nothing more came within {} s: see `xact-pipeline topics lag` for the stage that is behind, its \
             /health/ready, and `xact-pipeline check`",
            request.timeout.as_secs()
        )),
    };
    Ok(ValidateAnswer {
        trace_id: follower.trace_id,
        steps: steps.done,
        failure,
    })
}

/// Returns the URL to download. It is checked by the rules of the pipeline, so that a mistake is reported at once.
fn attachment(settings: &Settings, given: Option<String>) -> Result<String, ValidateError> {
    let is_dev = settings.dev.is_some();
    let url = match given {
        Some(url) => url.trim().to_owned(),
        None if is_dev => {
            let host = settings.allowed_hosts.first().ok_or(ValidateError::NoHosts)?;
            format!("https://{host}/{SAMPLE_PATH}")
        }
        None => return Err(ValidateError::NoAttachment),
    };
    let refused = |reason: String| ValidateError::Refused {
        url: redact_url(&url),
        reason,
    };
    let parsed = settings
        .url_policy()
        .check(&url)
        .map_err(|error| refused(error.to_string()))?;
    file_rules::named_type(&parsed).map_err(|error| refused(error.to_string()))?;
    Ok(url)
}

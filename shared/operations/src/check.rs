//! The preflight: checks everything that the pipeline needs.

mod cost_estimate;
mod deep;
mod finding;
mod kafka;
mod local;
mod next_records;
mod storage;

pub use finding::{CheckResult, Finding, Verdict};

use std::sync::Arc;
use std::time::Duration;

use finding::{Check, named};
use xact_config::{ConfigError, Settings};

/// Time limit of one check. The services have shorter limits, whose errors are more specific.
const CHECK_TIMEOUT: Duration = Duration::from_secs(90);

/// How much is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// What the stages need.
    Plain,
    /// In addition, what only the real services can prove.
    Deep,
}

/// Returns the result of reading the settings, which is the first check.
#[must_use]
pub fn configuration(settings: Result<&Settings, &ConfigError>) -> CheckResult {
    let finding = settings.map_or_else(Finding::failed, |_| Finding::ok("all values are valid"));
    finding.of("configuration")
}

/// Runs all checks and returns their results. `report` is called with each result as soon as it and all results before it
/// are known.
pub async fn check(settings: &Settings, depth: Depth, mut report: impl FnMut(&CheckResult)) -> Vec<CheckResult> {
    let settings = Arc::new(settings.clone());
    // Concurrently, since a service that does not answer takes until its time limit.
    let running: Vec<_> = checks(&settings, depth)
        .into_iter()
        .map(|(name, check)| (name, tokio::spawn(tokio::time::timeout(CHECK_TIMEOUT, check))))
        .collect();
    let mut results = Vec::new();
    for (name, check) in running {
        let finding = match check.await {
            Ok(Ok(found)) => found.unwrap_or_else(Finding::failed),
            Ok(Err(_)) => Finding::failed(format_args!("no answer within {} s", CHECK_TIMEOUT.as_secs())),
            Err(error) => Finding::failed(error),
        };
        let result = finding.of(name);
        report(&result);
        results.push(result);
    }
    results
}

fn checks(settings: &Arc<Settings>, depth: Depth) -> Vec<Check> {
    let mut checks = vec![named("identity", storage::identity(settings.clone()))];
    checks.extend(kafka::checks(settings));
    checks.push(named("files", storage::files(settings.clone())));
    checks.extend(storage::tables(settings));
    checks.push(named("OneLake cost", cost_estimate::estimate(settings.clone())));
    checks.push(named("cache", local::cache(settings.clone())));
    checks.push(named("audit log", local::audit_log(settings.clone())));
    checks.push(named("collector", local::collector(settings.clone())));
    if depth == Depth::Deep {
        checks.extend(deep::checks(settings));
    }
    checks
}

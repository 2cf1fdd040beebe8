//! The Azure identity, the files and the tables.

use std::sync::Arc;

use super::finding::{Check, Finding};
use crate::files;
use crate::onelake_cost::OneLakeCost;
use xact_config::Settings;
use xact_contracts::onelake_billing::{Bill, BillingClass};
use xact_lake::{AttachmentRow, EventRow, FailedRow};
use xact_table_sink::Configured;

/// Gets a token for every service that the settings name.
pub(super) async fn identity(settings: Arc<Settings>) -> Finding {
    let scopes = settings.identity_scopes();
    if scopes.is_empty() {
        return Finding::skipped("no setting uses an Azure identity");
    }
    let identity = match settings.identity() {
        Ok(identity) => identity,
        Err(error) => return Finding::failed(error),
    };
    let mut principal = None;
    for scope in &scopes {
        match identity.token(scope).await {
            Ok(token) => principal = token.principal(),
            Err(error) => {
                return Finding::failed(format_args!("{}: no token for {scope}: {error}", identity.describe()));
            }
        }
    }
    let principal = principal.map(|principal| format!(", {principal}")).unwrap_or_default();
    Finding::ok(format_args!(
        "{}{principal}: tokens for {}",
        identity.describe(),
        scopes.join(", ")
    ))
}

/// Makes the requests of an upload, of a repeated one and of a large one with a test file. The bill shows whether uploads
/// would rename files.
pub(super) async fn files(settings: Arc<Settings>) -> Finding {
    let files = match files::open(&settings) {
        Ok(files) => files,
        Err(error) => return Finding::failed(error),
    };
    let mut warnings = match files.probe().await {
        Ok(warnings) => warnings,
        Err(error) => return Finding::failed(error),
    };
    let mut done = format!("{}: a test file was written and deleted", settings.onelake_base_path);
    if let Some(bill) = files.bill() {
        let renames = renames(&bill);
        done = format!("{done} by the requests of an upload; {}", OneLakeCost::from(bill));
        match renames {
            0 => done.push_str("; no file is renamed"),
            count => warnings.push(format!(
                "{count} renames were billed, each 13 CU seconds: uploads to this path are expensive. Report it as a defect"
            )),
        }
    }
    if warnings.is_empty() {
        return Finding::ok(done);
    }
    warnings.insert(0, done);
    Finding::warning(warnings.join("\n"))
}

/// Returns the number of renames, the only iterative writes that a file store could make.
fn renames(bill: &Bill) -> u64 {
    bill.of(BillingClass::IterativeWrite).requests
}

pub(super) fn tables(settings: &Arc<Settings>) -> Vec<(String, Check)> {
    fn check<R: Configured + 'static>(settings: &Arc<Settings>) -> (String, Check) {
        (format!("table {}", R::NAME), Box::pin(table::<R>(settings.clone())))
    }
    vec![
        check::<EventRow>(settings),
        check::<AttachmentRow>(settings),
        check::<FailedRow>(settings),
    ]
}

/// Reads the log, if there is one, and tests that the table's features allow appending rows and that two writers cannot
/// overwrite each other's commits.
async fn table<R: Configured>(settings: Arc<Settings>) -> Finding {
    if !settings.delta_writes {
        return Finding::skipped("ENABLE_DELTA_WRITES=false");
    }
    let table = match xact_table_sink::table::<R>(&settings) {
        Ok(table) => table,
        Err(error) => return Finding::failed(error),
    };
    if let Err(error) = table.probe().await {
        return Finding::failed(error);
    }
    match table.info().await {
        Ok(Some(info)) if !info.obstacles.is_empty() => {
            let lines = info.obstacles.iter().map(|obstacle| {
                format!(
                    "rows cannot be appended: {} ({}): {}",
                    obstacle.reason, obstacle.feature, obstacle.remedy
                )
            });
            let lines: Vec<String> = std::iter::once(table.location().to_string()).chain(lines).collect();
            Finding::failed(lines.join("\n"))
        }
        Ok(Some(info)) => Finding::ok(format_args!("{}: version {}, writable", table.location(), info.version)),
        Ok(None) => Finding::ok(format_args!("{}: does not exist yet, can be created", table.location())),
        Err(error) => Finding::failed(error),
    }
}

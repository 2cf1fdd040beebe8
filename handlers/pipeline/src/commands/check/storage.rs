//! The identity, the files and the tables.

use std::sync::Arc;

use super::{Checked, Verdict};
use crate::commands::onelake_cost;
use xact_config::Settings;
use xact_contracts::onelake_billing::{Bill, BillingClass};
use xact_lake::{AttachmentRow, EventRow, FailedRow};
use xact_table_sink::Configured;

/// A token for every service that the settings name.
pub(super) async fn identity(settings: Arc<Settings>) -> Verdict {
    let scopes = settings.identity_scopes();
    if scopes.is_empty() {
        return Verdict::Skipped("no setting needs an Azure identity".to_owned());
    }
    let identity = match settings.identity() {
        Ok(identity) => identity,
        Err(error) => return Verdict::failed(&error),
    };
    let mut whose = None;
    for scope in &scopes {
        match identity.token(scope).await {
            Ok(token) => whose = token.principal(),
            Err(error) => return Verdict::Failed(format!("{}: no token for {scope}: {error}", identity.describe())),
        }
    }
    let whose = whose.map(|principal| format!(", {principal}")).unwrap_or_default();
    Verdict::Ok(format!(
        "{}{whose}: tokens for {}",
        identity.describe(),
        scopes.join(", ")
    ))
}

/// Makes the requests of an upload, of a repeated one and of a large one on a test file. What they are billed as shows
/// whether uploads would rename files.
pub(super) async fn files(settings: Arc<Settings>) -> Verdict {
    let files = match upload::open_files(&settings) {
        Ok(files) => files,
        Err(error) => return Verdict::failed(&error),
    };
    let mut remarks = match files.probe().await {
        Ok(remarks) => remarks,
        Err(error) => return Verdict::failed(&error),
    };
    let mut done = format!("{}: a test file was written and deleted", settings.onelake_base_path);
    if let Some(bill) = files.bill() {
        done = format!("{done} by the requests of an upload; {}", onelake_cost::in_text(&bill));
        match renames(&bill) {
            0 => done.push_str("; no file is renamed"),
            count => remarks.push(format!(
                "{count} renames were billed, each 13 CU seconds: uploads to this path are dear. Report it as a defect"
            )),
        }
    }
    if remarks.is_empty() {
        return Verdict::Ok(done);
    }
    remarks.insert(0, done);
    Verdict::Warning(remarks.join("\n"))
}

/// Renames are the only iterative writes that a file store could make.
fn renames(bill: &Bill) -> u64 {
    bill.of(BillingClass::IterativeWrite).requests
}

pub(super) fn tables(settings: &Arc<Settings>) -> Vec<(String, Checked)> {
    fn check<R: Configured + 'static>(settings: &Arc<Settings>) -> (String, Checked) {
        (format!("table {}", R::NAME), Box::pin(table::<R>(settings.clone())))
    }
    vec![
        check::<EventRow>(settings),
        check::<AttachmentRow>(settings),
        check::<FailedRow>(settings),
    ]
}

/// Reads the log, if there is one, and tests that the table's features let rows be appended and that two writers cannot
/// overwrite each other's commits.
async fn table<R: Configured>(settings: Arc<Settings>) -> Verdict {
    if !settings.delta_writes {
        return Verdict::Skipped("ENABLE_DELTA_WRITES=false".to_owned());
    }
    let table = match xact_table_sink::table::<R>(&settings) {
        Ok(table) => table,
        Err(error) => return Verdict::failed(&error),
    };
    if let Err(error) = table.probe().await {
        return Verdict::failed(&error);
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
            Verdict::Failed(lines.join("\n"))
        }
        Ok(Some(info)) => Verdict::Ok(format!("{}: version {}, writable", table.location(), info.version)),
        Ok(None) => Verdict::Ok(format!("{}: not there yet, can be created", table.location())),
        Err(error) => Verdict::failed(&error),
    }
}

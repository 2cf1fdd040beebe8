//! The Azure identity, the files and the tables.

use std::sync::Arc;

use super::finding::{Check, Finding, Found, Verdict, named};
use crate::files;
use crate::lakehouse::{self, Placement};
use crate::onelake_cost::OneLakeCost;
use xact_config::Settings;
use xact_contracts::onelake_billing::{Bill, BillingClass};
use xact_lake::{AttachmentRow, EventRow, FailedRow, ReconciliationRow};
use xact_table_sink::Configured;

/// Gets a token for every service that the settings name.
pub(super) async fn identity(settings: Arc<Settings>) -> Found {
    let scopes = settings.identity_scopes();
    if scopes.is_empty() {
        return Ok(Finding::skipped("no setting uses an Azure identity"));
    }
    let identity = settings.identity()?;
    let mut principal = None;
    for scope in &scopes {
        let token = identity.token(scope).await;
        let token = token.map_err(|error| format!("{}: no token for {scope}: {error}", identity.describe()))?;
        principal = token.principal();
    }
    let principal = principal.map(|principal| format!(", {principal}")).unwrap_or_default();
    Ok(Finding::ok(format_args!(
        "{}{principal}: tokens for {}",
        identity.describe(),
        scopes.join(", ")
    )))
}

/// Makes the requests of an upload, of a repeated one and of a large one with a test file. The bill shows whether uploads
/// would rename files.
pub(super) async fn files(settings: Arc<Settings>) -> Found {
    let files = files::open(&settings)?;
    let mut warnings = files.probe().await?;
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
        return Ok(Finding::ok(done));
    }
    warnings.insert(0, done);
    Ok(Finding::warning(warnings.join("\n")))
}

/// Returns the number of renames, the only iterative writes that a file store could make.
fn renames(bill: &Bill) -> u64 {
    bill.of(BillingClass::IterativeWrite).requests
}

pub(super) fn tables(settings: &Arc<Settings>) -> [Check; 4] {
    fn check<R: Configured + 'static>(settings: &Arc<Settings>) -> Check {
        named(format!("table {}", R::NAME), table::<R>(settings.clone()))
    }
    [
        check::<EventRow>(settings),
        check::<AttachmentRow>(settings),
        check::<FailedRow>(settings),
        check::<ReconciliationRow>(settings),
    ]
}

/// Compares the path with the kind of the lakehouse, reads the log, if there is one, and tests that the table's features allow
/// appending rows and that two writers cannot overwrite each other's commits.
async fn table<R: Configured>(settings: Arc<Settings>) -> Found {
    if !settings.delta_writes {
        return Ok(Finding::skipped("ENABLE_DELTA_WRITES=false"));
    }
    if R::SOURCE.is_none() && R::path(&settings).is_empty() {
        return Ok(Finding::skipped(format_args!("{} is not set", R::VARIABLE)));
    }
    let placement = lakehouse::placement::<R>(&settings).await;
    // The test of the storage would make a folder in the wrong place.
    match placement {
        Placement::Wrong(reason) => return Ok(Finding::failed(reason)),
        Placement::Undecided(reason) => return Ok(Finding::warning(reason)),
        _ => {}
    }
    let finding = storage_of_table::<R>(&settings).await?;
    Ok(match placement {
        Placement::Unknown(reason) if finding.verdict == Verdict::Ok => {
            Finding::warning(format_args!("{}\n{reason}", finding.text))
        }
        _ => finding,
    })
}

async fn storage_of_table<R: Configured>(settings: &Settings) -> Found {
    let table = xact_table_sink::table::<R>(settings)?;
    table.probe().await?;
    let location = table.location();
    let Some(info) = table.info().await? else {
        return Ok(Finding::ok(format_args!(
            "{location}: does not exist yet, can be created"
        )));
    };
    if info.obstacles.is_empty() {
        return Ok(Finding::ok(format_args!(
            "{location}: version {}, writable",
            info.version
        )));
    }
    let mut lines = vec![location.to_string()];
    lines.extend(info.obstacles.iter().map(|obstacle| {
        format!(
            "rows cannot be appended: {} ({}): {}",
            obstacle.reason, obstacle.feature, obstacle.remedy
        )
    }));
    Ok(Finding::failed(lines.join("\n")))
}

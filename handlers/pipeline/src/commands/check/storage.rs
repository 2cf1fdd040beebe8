//! The identity, the files and the tables.

use super::{Checked, Verdict};
use lake::{AttachmentRow, EventRow, FailedRow};
use runtime::config::Settings;
use std::sync::Arc;
use table_sink::Configured;

/// A token for every service that the settings name.
pub(super) async fn identity(settings: Arc<Settings>) -> Verdict {
    let scopes = settings.identity_scopes();
    if scopes.is_empty() {
        return Verdict::Skipped("nothing here asks for an Azure identity".to_owned());
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

/// Makes the requests of an upload on a test file.
pub(super) async fn files(settings: Arc<Settings>) -> Verdict {
    let files = match upload::open_files(&settings) {
        Ok(files) => files,
        Err(error) => return Verdict::failed(&error),
    };
    match files.probe().await {
        Ok(remarks) => {
            let done = format!("{}: a test file was written and deleted", settings.onelake_base_path);
            Verdict::Ok(
                remarks
                    .into_iter()
                    .fold(done, |text, remark| format!("{text}; {remark}")),
            )
        }
        Err(error) => Verdict::failed(&error),
    }
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

/// Reads the log, if there is one, and sees that two writers cannot overwrite each other.
async fn table<R: Configured>(settings: Arc<Settings>) -> Verdict {
    if !settings.delta_writes {
        return Verdict::Skipped("ENABLE_DELTA_WRITES=false".to_owned());
    }
    let table = match table_sink::table::<R>(&settings) {
        Ok(table) => table,
        Err(error) => return Verdict::failed(&error),
    };
    if let Err(error) = table.probe().await {
        return Verdict::failed(&error);
    }
    match table.info().await {
        Ok(Some(info)) => Verdict::Ok(format!("{}: version {}, writable", table.location(), info.version)),
        Ok(None) => Verdict::Ok(format!("{}: not there yet, can be created", table.location())),
        Err(error) => Verdict::failed(&error),
    }
}

//! Unfinished files of killed uploads: list and delete.
//!
//! Versions before 0.2 wrote each file in `ONELAKE_BASE_PATH/.xact-uploads` and renamed it when it was complete. Current
//! versions write no temporary files in OneLake; a local lake still has them.

use std::time::Duration;

use clap::Args;
use futures::{StreamExt, stream};
use serde::Serialize;

use crate::error::OperationError;
use crate::files;
use crate::onelake_cost::OneLakeCost;
use xact_config::Settings;

/// Maximum number of deletes in flight.
const MAX_CONCURRENT_DELETES: usize = 16;

/// Which files, and what to do with them.
#[derive(Debug, Clone, Copy, Args)]
pub struct LeftoversRequest {
    /// Keep younger files: an upload of a version before 0.2, or to a local lake, may still be writing them
    #[arg(long, value_name = "N", default_value_t = 24, value_parser = clap::value_parser!(u64).range(1..))]
    pub older_than_hours: u64,
    /// Delete them; without it this is a dry run
    #[arg(long)]
    pub execute: bool,
}

/// The files that were found.
#[derive(Debug, Serialize)]
pub struct Leftovers {
    /// The folder of all files.
    pub location: String,
    /// Younger files are not listed.
    pub older_than_hours: u64,
    /// The files, sorted by path.
    pub files: Vec<Leftover>,
    /// Bytes of all of them.
    pub bytes: u64,
    /// Whether they were deleted.
    pub deleted: bool,
    /// `None` for a local lake.
    #[serde(flatten)]
    pub cost: Option<OneLakeCost>,
}

/// An unfinished file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Leftover {
    /// Its path below the folder.
    pub path: String,
    /// Its size.
    pub bytes: u64,
}

/// Lists unfinished files that were last written at least `older_than_hours` ago, and deletes them if the request says so.
/// It is safe to repeat.
///
/// # Errors
/// When the lake cannot be opened, listed or changed.
pub async fn run(settings: &Settings, request: LeftoversRequest) -> Result<Leftovers, OperationError> {
    let older_than_hours = request.older_than_hours;
    let store = files::open(settings)?;
    let age = Duration::from_secs(older_than_hours.saturating_mul(3600));
    let found = store.leftovers(age).await?;
    let found = found.into_iter().map(|(path, bytes)| Leftover { path, bytes });
    let mut files: Vec<Leftover> = found.collect();
    files.sort();
    if request.execute {
        let deletes: Vec<_> = files.iter().map(|file| store.delete_leftover(&file.path)).collect();
        let mut deletes = stream::iter(deletes).buffer_unordered(MAX_CONCURRENT_DELETES);
        let (mut deleted, all) = (0, files.len());
        while let Some(result) = deletes.next().await {
            result.map_err(|error| {
                format!("{error}. {deleted} of {all} files were deleted; run the command again to continue")
            })?;
            deleted += 1;
        }
    }
    Ok(Leftovers {
        location: settings.onelake_base_path.clone(),
        older_than_hours,
        bytes: files.iter().map(|file| file.bytes).sum(),
        files,
        deleted: request.execute,
        cost: store.bill().map(OneLakeCost::from),
    })
}

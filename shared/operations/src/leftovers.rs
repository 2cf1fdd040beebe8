//! Unfinished files of killed uploads: list and delete.
//!
//! Versions before 0.2 wrote each file in `ONELAKE_BASE_PATH/.xact-uploads` and renamed it when it was complete. Current
//! versions write no temporary files in OneLake; a local lake still has them.

use std::time::Duration;

use serde::Serialize;
use tokio::task::{JoinError, JoinSet};

use crate::files;
use crate::onelake_cost::OneLakeCost;
use xact_config::Settings;
use xact_lake::{FileError, OpenFilesError};

/// Maximum number of deletes in flight.
const MAX_CONCURRENT_DELETES: usize = 16;

/// What to do with the files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Only list them.
    List,
    /// Delete them.
    Delete,
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

/// Reasons why leftovers cannot be listed or deleted.
#[derive(Debug, thiserror::Error)]
pub enum LeftoversError {
    /// The lake cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenFilesError),
    /// The folder cannot be listed.
    #[error(transparent)]
    List(FileError),
    /// A file cannot be deleted.
    #[error("{error}. {deleted} of {all} files were deleted; run the command again to continue")]
    Delete {
        /// Why.
        error: FileError,
        /// Files that were deleted before.
        deleted: usize,
        /// All files.
        all: usize,
    },
    /// A task panicked.
    #[error("deleting a file failed: {0}")]
    Panicked(#[from] JoinError),
}

/// Lists unfinished files that were last written at least `older_than_hours` ago, and deletes them if `action`
/// requires it. It is safe to repeat.
///
/// # Errors
/// When the lake cannot be opened, listed or changed.
pub async fn run(settings: &Settings, older_than_hours: u64, action: Action) -> Result<Leftovers, LeftoversError> {
    let store = files::open(settings)?;
    let age = Duration::from_secs(older_than_hours.saturating_mul(3600));
    let found = store.leftovers(age).await.map_err(LeftoversError::List)?;
    let mut files: Vec<Leftover> = found
        .into_iter()
        .map(|(path, bytes)| Leftover { path, bytes })
        .collect();
    files.sort();
    if action == Action::Delete {
        let mut deleted = 0;
        let mut deletes = JoinSet::new();
        let mut waiting = files.iter();
        loop {
            while deletes.len() < MAX_CONCURRENT_DELETES
                && let Some(file) = waiting.next()
            {
                let (store, path) = (store.clone(), file.path.clone());
                deletes.spawn(async move { store.delete_leftover(&path).await });
            }
            let Some(result) = deletes.join_next().await else {
                break;
            };
            let all = files.len();
            result?.map_err(|error| LeftoversError::Delete { error, deleted, all })?;
            deleted += 1;
        }
    }
    Ok(Leftovers {
        location: settings.onelake_base_path.clone(),
        older_than_hours,
        bytes: files.iter().map(|file| file.bytes).sum(),
        files,
        deleted: action == Action::Delete,
        cost: store.bill().map(OneLakeCost::from),
    })
}

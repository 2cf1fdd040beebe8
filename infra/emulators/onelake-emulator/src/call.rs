//! A request that is authenticated and carried out.

use std::io;
use std::sync::Arc;

use axum::http::{HeaderMap, Method};

use crate::catalog::{ResolvedPath, item_not_found, workspace_not_found};
use crate::checksums::Checksum;
use crate::errors::{ErrorResponse, NOT_ON_THIS_PATH, ServiceError};
use crate::request::Query;
use crate::state::EmulatorState;
use crate::storage::{EntryPath, Storage, StoreError};
use crate::target::Target;
use crate::upload::{Received, Upload};
use crate::verbs::{Protocol, Verb};

/// The request, with the path that it is about.
pub(crate) struct Call {
    pub(crate) state: Arc<EmulatorState>,
    pub(crate) method: Method,
    pub(crate) protocol: Protocol,
    pub(crate) verb: Verb,
    pub(crate) query: Query,
    pub(crate) headers: HeaderMap,
    pub(crate) principal: String,
    pub(crate) target: ResolvedPath,
    pub(crate) upload: Upload,
}

impl Call {
    /// Runs blocking work on the storage.
    pub(crate) async fn on_disk<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Storage) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, ErrorResponse> {
        let storage = Arc::clone(&self.state.storage);
        let done = tokio::task::spawn_blocking(move || work(&storage)).await;
        done.unwrap_or_else(|error| Err(io::Error::other(error).into()))
            .map_err(|error| error.error_response(self.protocol))
    }

    /// Runs blocking work on the path of the request.
    pub(crate) async fn on_path<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Storage, &EntryPath) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, ErrorResponse> {
        let path = self.target.path.clone();
        self.on_disk(move |storage| work(storage, &path)).await
    }

    /// Receives the body of at most `limit` bytes.
    pub(crate) async fn receive(&mut self, limit: u64, checksum: Checksum) -> Result<Received, ErrorResponse> {
        self.upload.receive(&self.state.storage, limit, checksum).await
    }

    /// Resolves another path that the request names, if the principal has access to it. `error` is the error for a path
    /// that names only a workspace.
    pub(crate) async fn other_path(&self, source: &str, error: ServiceError) -> Result<EntryPath, ErrorResponse> {
        let target = Target::parse_source(source, &self.state.access.account.name)?;
        if !target.has_path() {
            return Err(error.into());
        }
        let path = self.state.catalog.resolve(&target, self.protocol)?.path;
        self.state.access.authorize(&self.principal, path.workspace())?;
        self.must_exist(&path).await?;
        Ok(path)
    }

    /// Fails unless the workspace and the item of a path exist.
    pub(crate) async fn must_exist(&self, path: &EntryPath) -> Result<(), ErrorResponse> {
        let above: Vec<EntryPath> = (1..=path.depth().min(2)).map(|depth| path.ancestor(depth)).collect();
        let missing = self.on_disk(move |storage| {
            for path in above {
                if !storage.has_folder(&path)? {
                    return Ok(Some(path));
                }
            }
            Ok(None)
        });
        match missing.await? {
            None => Ok(()),
            Some(missing) if missing.depth() == 1 => Err(workspace_not_found(self.protocol)),
            Some(missing) => Err(item_not_found(missing.workspace(), missing.split().1)),
        }
    }

    /// Fails unless a path is below a folder of an item: nothing else can be changed.
    pub(crate) async fn must_be_below_a_folder(&self, path: &EntryPath) -> Result<(), ErrorResponse> {
        let folder = path.ancestor(3);
        if path.depth() > 3 && self.on_disk(move |storage| storage.has_folder(&folder)).await? {
            Ok(())
        } else {
            Err(NOT_ON_THIS_PATH.into())
        }
    }
}

//! Workspaces: the filesystems of one protocol and the containers of the other. OneLake does not let clients create or
//! delete one; the emulator has an option for it, for tools that need it.

use axum::http::StatusCode;
use axum::response::Response;

use crate::answers;
use crate::call::Call;
use crate::catalog::workspace_not_found;
use crate::content::{set, set_version};
use crate::errors::{CONTAINER_EXISTS, ErrorResponse, FILESYSTEM_EXISTS, NOT_ON_THIS_PATH};
use crate::storage::{Conditions, Storage};
use crate::verbs::Protocol;

pub(crate) async fn create(call: &Call) -> Result<Response, ErrorResponse> {
    if call.on_path(Storage::has_folder).await? {
        return Err(match call.protocol {
            Protocol::Dfs => FILESYSTEM_EXISTS.into(),
            Protocol::Blob => CONTAINER_EXISTS.into(),
        });
    }
    if !call.state.workspaces_by_api {
        return Err(NOT_ON_THIS_PATH.into());
    }
    call.on_path(|storage, path| storage.make_folder(path.segments()))
        .await?;
    call.state.catalog.register_workspace(call.target.path.workspace());
    answer(call, StatusCode::CREATED).await
}

pub(crate) async fn delete(call: &Call) -> Result<Response, ErrorResponse> {
    if !call.on_path(Storage::has_folder).await? {
        return Err(workspace_not_found(call.protocol));
    }
    if !call.state.workspaces_by_api {
        return Err(NOT_ON_THIS_PATH.into());
    }
    call.on_path(|storage, path| storage.remove(path, true, &Conditions::default()))
        .await?;
    Ok(answers::empty(StatusCode::ACCEPTED))
}

pub(crate) async fn properties(call: &Call) -> Result<Response, ErrorResponse> {
    answer(call, StatusCode::OK).await
}

async fn answer(call: &Call, status: StatusCode) -> Result<Response, ErrorResponse> {
    let (entry, _) = call.on_path(Storage::stat).await?;
    let mut response = answers::empty(status);
    let headers = response.headers_mut();
    set_version(headers, &entry);
    set(headers, "x-ms-namespace-enabled", "true");
    set(headers, "x-ms-lease-status", "unlocked");
    set(headers, "x-ms-lease-state", "available");
    set(headers, "x-ms-has-immutability-policy", "false");
    set(headers, "x-ms-has-legal-hold", "false");
    Ok(response)
}

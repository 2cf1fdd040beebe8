//! Workspaces: the filesystems of one protocol and the containers of the other. OneLake does not let clients create or
//! delete one.

use axum::http::StatusCode;
use axum::response::Response;

use crate::answers;
use crate::call::Call;
use crate::content::{set, set_version};
use crate::errors::{CONTAINER_EXISTS, ErrorResponse, FILESYSTEM_EXISTS, NOT_ON_THIS_PATH};
use crate::storage::Storage;
use crate::verbs::Protocol;

pub(crate) async fn create(call: &Call) -> Result<Response, ErrorResponse> {
    if !call.on_path(Storage::has_folder).await? {
        return Err(NOT_ON_THIS_PATH.into());
    }
    Err(match call.protocol {
        Protocol::Dfs => FILESYSTEM_EXISTS.into(),
        Protocol::Blob => CONTAINER_EXISTS.into(),
    })
}

pub(crate) async fn delete(call: &Call) -> Result<Response, ErrorResponse> {
    call.must_exist(&call.target.path).await?;
    Err(NOT_ON_THIS_PATH.into())
}

pub(crate) async fn properties(call: &Call) -> Result<Response, ErrorResponse> {
    let (entry, _) = call.on_path(Storage::stat).await?;
    let mut response = answers::empty(StatusCode::OK);
    let headers = response.headers_mut();
    set_version(headers, &entry);
    for (name, value) in [
        ("x-ms-namespace-enabled", "true"),
        ("x-ms-lease-status", "unlocked"),
        ("x-ms-lease-state", "available"),
        ("x-ms-has-immutability-policy", "false"),
        ("x-ms-has-legal-hold", "false"),
    ] {
        set(headers, name, value);
    }
    Ok(response)
}

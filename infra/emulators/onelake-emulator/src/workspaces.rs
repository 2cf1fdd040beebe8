//! Workspaces, which are filesystems to one protocol and containers to the other. OneLake lets nobody make or delete one
//! over either; the emulator can be started so that it does, for tools that begin with it.

use axum::http::StatusCode;
use axum::response::Response;

use crate::answers;
use crate::catalog::{Place, workspace_not_found};
use crate::content::{set, set_version};
use crate::errors::{CONTAINER_EXISTS, FILESYSTEM_EXISTS, NOT_ON_THIS_PATH, Refusal};
use crate::service::Call;
use crate::verbs::Protocol;

pub(crate) async fn create(call: &Call, place: &Place) -> Result<Response, Refusal> {
    let path = place.path.clone();
    if call.on_disk(move |storage| storage.has_folder(&path)).await? {
        return Err(match call.protocol {
            Protocol::Dfs => FILESYSTEM_EXISTS.into(),
            Protocol::Blob => CONTAINER_EXISTS.into(),
        });
    }
    if !call.shared.workspaces_by_api {
        return Err(NOT_ON_THIS_PATH.into());
    }
    let path = place.path.clone();
    call.on_disk(move |storage| storage.make_folder(path.segments()))
        .await?;
    call.shared.catalog.know_workspace(place.path.workspace());
    described(call, place, StatusCode::CREATED).await
}

pub(crate) async fn delete(call: &Call, place: &Place) -> Result<Response, Refusal> {
    let path = place.path.clone();
    if !call.on_disk(move |storage| storage.has_folder(&path)).await? {
        return Err(workspace_not_found(call.protocol));
    }
    if !call.shared.workspaces_by_api {
        return Err(NOT_ON_THIS_PATH.into());
    }
    let path = place.path.clone();
    call.on_disk(move |storage| storage.remove(&path, true, &crate::conditions::Conditions::default()))
        .await?;
    Ok(answers::empty(StatusCode::ACCEPTED))
}

pub(crate) async fn properties(call: &Call, place: &Place) -> Result<Response, Refusal> {
    described(call, place, StatusCode::OK).await
}

async fn described(call: &Call, place: &Place, status: StatusCode) -> Result<Response, Refusal> {
    let path = place.path.clone();
    let (entry, _) = call.on_disk(move |storage| storage.look(&path)).await?;
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

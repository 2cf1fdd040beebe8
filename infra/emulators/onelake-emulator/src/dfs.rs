//! The [Data Lake Storage Gen2][api] protocol: files are created empty, appended to, flushed, renamed.
//!
//! [api]: https://learn.microsoft.com/rest/api/storageservices/datalakestoragegen2/path

use axum::http::StatusCode;
use axum::response::Response;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::json;

use crate::answers;
use crate::call::Call;
use crate::checksums::Checksum;
use crate::content::{of_dfs_write, set, set_version};
use crate::errors::{
    ErrorResponse, INVALID_HEADER, INVALID_QUERY, INVALID_SOURCE_URI, LENGTH_MUST_BE_ZERO, MISSING_HEADER,
    MISSING_QUERY, NOT_ON_THIS_PATH, PATH_EXISTS, PATH_NOT_FOUND, UNSUPPORTED_QUERY,
};
use crate::paging::{from_token, page_size, to_token};
use crate::request::{content_length, header};
use crate::storage::{Conditions, Entry, EntryPath, ListDepth, ListOptions, Properties, Storage};
use crate::target::Target;

/// Largest body of an append in bytes.
const MAX_APPEND_BYTES: u64 = 4000 * 1024 * 1024;

fn answer(status: StatusCode, entry: &Entry) -> Response {
    let mut response = answers::empty(status);
    set_version(response.headers_mut(), entry);
    set(response.headers_mut(), "x-ms-request-server-encrypted", "true");
    response
}

/// OneLake requires `Content-Length: 0` for a request without a body (sdebruyn/fabric-dw-mcp-cli#402).
fn must_be_empty(call: &Call) -> Result<(), ErrorResponse> {
    match content_length(&call.headers)? {
        Some(0) => Ok(()),
        _ => Err(LENGTH_MUST_BE_ZERO.into()),
    }
}

/// Refuses to create workspaces, items and their folders.
pub(crate) async fn create_managed(call: &Call) -> Result<Response, ErrorResponse> {
    let is_there = call.on_path(Storage::has_folder).await?;
    // As `mkdir` of an item's `Files` answers, and of an item.
    let is_folder_of_item = is_there && call.target.path.depth() == 3;
    Err(if is_folder_of_item {
        PATH_EXISTS.into()
    } else {
        NOT_ON_THIS_PATH.into()
    })
}

pub(crate) async fn create_file(call: &Call) -> Result<Response, ErrorResponse> {
    must_be_empty(call)?;
    let conditions = Conditions::of_target(&call.headers)?;
    let mut properties = Properties {
        by_dfs: true,
        ..Properties::default()
    };
    of_dfs_write(&call.headers)?(&mut properties);
    let created = call.on_path(move |storage, path| {
        let (draft, _) = storage.draft()?;
        storage.put(path, &draft, &conditions, |_| properties)
    });
    Ok(answer(StatusCode::CREATED, &created.await?))
}

pub(crate) async fn create_directory(call: &Call) -> Result<Response, ErrorResponse> {
    must_be_empty(call)?;
    let conditions = Conditions::of_target(&call.headers)?;
    let mut properties = Properties::default();
    of_dfs_write(&call.headers)?(&mut properties);
    let created = call.on_path(move |storage, path| storage.put_folder(path, &conditions, properties));
    Ok(answer(StatusCode::CREATED, &created.await?))
}

pub(crate) async fn rename(call: &Call) -> Result<Response, ErrorResponse> {
    must_be_empty(call)?;
    if !matches!(call.query.get("mode"), None | Some("legacy" | "posix")) {
        return Err(INVALID_QUERY.into());
    }
    let source = header(&call.headers, "x-ms-rename-source")?.ok_or(MISSING_HEADER)?;
    let from = call.other_path(source, INVALID_SOURCE_URI).await?;
    call.must_be_below_a_folder(&from).await?;
    let of_target = Conditions::of_target(&call.headers)?;
    let of_source = Conditions::of_source(&call.headers)?;
    let renamed = call.on_path(move |storage, to| storage.rename(&from, to, &of_source, &of_target));
    Ok(answer(StatusCode::CREATED, &renamed.await?))
}

pub(crate) async fn append(call: &mut Call) -> Result<Response, ErrorResponse> {
    let position = call.query.number("position")?.ok_or(MISSING_QUERY)?;
    let is_flushed = call.query.flag("flush")?;
    let checksum = Checksum::announced(&call.headers)?;
    if content_length(&call.headers)? == Some(0) {
        return Err(INVALID_HEADER.into());
    }
    let received = call.receive(MAX_APPEND_BYTES, checksum).await?;
    if received.length == 0 {
        return Err(INVALID_HEADER.into());
    }
    let conditions = Conditions::of_target(&call.headers)?;
    let appended = call.on_path(move |storage, path| {
        let entry = storage.append(path, &received.draft, position, received.length)?;
        if is_flushed {
            return storage.flush(path, position + received.length, &conditions, |_| ());
        }
        Ok(entry)
    });
    Ok(answer(StatusCode::ACCEPTED, &appended.await?))
}

pub(crate) async fn flush(call: &Call) -> Result<Response, ErrorResponse> {
    must_be_empty(call)?;
    let position = call.query.number("position")?.ok_or(MISSING_QUERY)?;
    call.query.flag("close")?;
    if call.query.flag("retainUncommittedData")? {
        return Err(UNSUPPORTED_QUERY.into());
    }
    let change = of_dfs_write(&call.headers)?;
    let conditions = Conditions::of_target(&call.headers)?;
    let flushed = call.on_path(move |storage, path| storage.flush(path, position, &conditions, change));
    let mut response = answer(StatusCode::OK, &flushed.await?);
    set(response.headers_mut(), "content-length", "0");
    Ok(response)
}

pub(crate) async fn set_properties(call: &Call) -> Result<Response, ErrorResponse> {
    must_be_empty(call)?;
    let change = of_dfs_write(&call.headers)?;
    let conditions = Conditions::of_target(&call.headers)?;
    let changed = call.on_path(move |storage, path| storage.change(path, &conditions, change));
    Ok(answer(StatusCode::OK, &changed.await?))
}

pub(crate) async fn list(call: &Call) -> Result<Response, ErrorResponse> {
    let recursive = call.query.flag("recursive")?;
    if !call.query.has("recursive") {
        return Err(MISSING_QUERY.into());
    }
    let limit = page_size(call.query.number("maxResults")?)?;
    let directory = call.query.get("directory").unwrap_or("").trim_matches('/');
    let mut prefix = String::new();
    if !directory.is_empty() {
        let asked = format!("{}/{directory}", call.target.path.workspace());
        // Checks the names; the workspace is resolved already.
        Target::parse(&utf8_percent_encode(&asked, NON_ALPHANUMERIC).to_string(), "")?;
        prefix = call.state.catalog.real_prefix(&call.target, &format!("{directory}/"))?;
        let segments = std::iter::once(call.target.path.workspace()).chain(prefix.split_terminator('/'));
        let folder = EntryPath::new(segments.map(str::to_owned).collect());
        call.must_exist(&folder).await?;
        if !call.on_disk(move |storage| storage.has_folder(&folder)).await? {
            return Err(PATH_NOT_FOUND.into());
        }
    }
    // An empty token is the beginning.
    let start = from_token(call.query.get("continuation").unwrap_or(""))?;
    let workspace = call.target.path.workspace().to_owned();
    let listed = call.on_disk(move |storage| {
        let wanted = ListOptions {
            prefix: &prefix,
            start: &start,
            limit,
            depth: if recursive { ListDepth::All } else { ListDepth::Level },
            properties: false,
        };
        storage.list(&workspace, wanted)
    });
    let (found, next) = listed.await?;
    let paths = found.iter().map(|listed| {
        let mut line = json!({
            "name": call.state.catalog.shown(&call.target, &listed.name),
            "contentLength": listed.entry.length.to_string(),
            "lastModified": listed.entry.stamp.http_date(),
            "etag": listed.entry.stamp.etag(),
            "creationTime": listed.entry.created.file_time().to_string(),
            "owner": "$superuser",
            "group": "$superuser",
            "permissions": "---------",
        });
        if listed.entry.is_folder() {
            line["isDirectory"] = "true".into();
        }
        line
    });
    let body = json!({"paths": paths.collect::<Vec<_>>()}).to_string();
    let mut response = answers::text(StatusCode::OK, "application/json;charset=utf-8", body);
    if let Some(next) = next {
        set(response.headers_mut(), "x-ms-continuation", &to_token(&next));
    }
    Ok(response)
}

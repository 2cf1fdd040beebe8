//! HEAD, GET and DELETE of a path, which are the same in both protocols.

use axum::http::StatusCode;
use axum::response::Response;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use md5::{Digest, Md5};

use crate::answers;
use crate::call::Call;
use crate::content::{Extent, describe, set};
use crate::errors::{ErrorResponse, RANGE_TOO_LARGE_FOR_MD5};
use crate::ranges::{self, ByteRange};
use crate::request::header;
use crate::storage::{Conditions, StoreError};
use crate::verbs::Protocol;

/// Largest range with an MD5 in bytes.
const MAX_MD5_RANGE_BYTES: u64 = 4 * 1024 * 1024;

pub(crate) async fn properties(call: &Call) -> Result<Response, ErrorResponse> {
    let conditions = Conditions::of_target(&call.headers)?;
    let found = call.on_path(move |storage, path| {
        let (entry, properties) = storage.stat(path)?;
        conditions.check_read(&entry)?;
        Ok((entry, properties))
    });
    let (entry, properties) = found.await?;
    let mut response = answers::empty(StatusCode::OK);
    describe(response.headers_mut(), &entry, &properties, Extent::Whole);
    set(response.headers_mut(), "content-length", &entry.length.to_string());
    if matches!(call.query.get("action"), Some("getAccessControl")) {
        set(response.headers_mut(), "x-ms-acl", "user::rwx,group::---,other::---");
    }
    Ok(response)
}

pub(crate) async fn read(call: &Call) -> Result<Response, ErrorResponse> {
    let conditions = Conditions::of_target(&call.headers)?;
    let found = call.on_path(move |storage, path| {
        let (entry, properties, file) = storage.read(path)?;
        conditions.check_read(&entry)?;
        Ok((entry, properties, file))
    });
    let (entry, properties, file) = found.await?;
    let mut response = answers::empty(StatusCode::OK);
    let Some(file) = file else {
        describe(response.headers_mut(), &entry, &properties, Extent::Whole);
        return Ok(response);
    };
    let whole = ByteRange {
        start: 0,
        length: entry.length,
    };
    let wanted = ranges::requested(&call.headers, entry.length)?;
    let span = wanted.unwrap_or(whole);
    let extent = if wanted.is_some() { Extent::Range } else { Extent::Whole };
    describe(response.headers_mut(), &entry, &properties, extent);
    if wanted.is_some() {
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
        let range = format!("bytes {}-{}/{}", span.start, span.start + span.length - 1, entry.length);
        set(response.headers_mut(), "content-range", &range);
        if header(&call.headers, "x-ms-range-get-content-md5")? == Some("true") {
            let md5 = md5_of(&file, span).await?;
            set(response.headers_mut(), "content-md5", &md5);
        }
    }
    set(response.headers_mut(), "content-length", &span.length.to_string());
    *response.body_mut() = answers::file(file, span);
    Ok(response)
}

/// Returns the MD5 of a small part of a file, in base64.
async fn md5_of(file: &std::fs::File, span: ByteRange) -> Result<String, ErrorResponse> {
    if span.length > MAX_MD5_RANGE_BYTES {
        return Err(RANGE_TOO_LARGE_FOR_MD5.into());
    }
    let file = file.try_clone()?;
    let hash = tokio::task::spawn_blocking(move || {
        let mut bytes = vec![0; usize::try_from(span.length).unwrap_or(0)];
        std::os::unix::fs::FileExt::read_exact_at(&file, &mut bytes, span.start)?;
        Ok::<_, std::io::Error>(BASE64_STANDARD.encode(Md5::digest(&bytes)))
    });
    Ok(hash.await.map_err(std::io::Error::other)??)
}

pub(crate) async fn delete(call: &Call) -> Result<Response, ErrorResponse> {
    let conditions = Conditions::of_target(&call.headers)?;
    let recursive = call.query.flag("recursive")?;
    let removed = call.on_path(move |storage, path| {
        let removed = storage.remove(path, recursive, &conditions);
        removed.map_err(|error| match error {
            // A star in If-None-Match demands that the path does not exist.
            StoreError::Exists => StoreError::ConditionNotMet,
            error => error,
        })
    });
    removed.await?;
    if call.protocol == Protocol::Dfs {
        return Ok(answers::empty(StatusCode::OK));
    }
    let mut response = answers::empty(StatusCode::ACCEPTED);
    set(response.headers_mut(), "x-ms-delete-type-permanent", "true");
    Ok(response)
}

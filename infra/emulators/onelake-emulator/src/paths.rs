//! HEAD, GET and DELETE of a path, which are the same in both protocols.

use axum::http::header::CONTENT_LENGTH;
use axum::http::{HeaderValue, StatusCode};
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
    let (entry, properties) = call
        .on_path(move |storage, path| {
            let (entry, properties) = storage.stat(path)?;
            conditions.check_read(&entry)?;
            Ok((entry, properties))
        })
        .await?;
    let mut response = answers::empty(StatusCode::OK);
    describe(response.headers_mut(), &entry, &properties, Extent::Whole);
    response
        .headers_mut()
        .insert(CONTENT_LENGTH, HeaderValue::from(entry.length));
    if matches!(call.query.get("action"), Some("getAccessControl")) {
        set(response.headers_mut(), "x-ms-acl", "user::rwx,group::---,other::---");
    }
    Ok(response)
}

pub(crate) async fn read(call: &Call) -> Result<Response, ErrorResponse> {
    let conditions = Conditions::of_target(&call.headers)?;
    let (entry, properties, file) = call
        .on_path(move |storage, path| {
            let (entry, properties, file) = storage.read(path)?;
            conditions.check_read(&entry)?;
            Ok((entry, properties, file))
        })
        .await?;
    let wanted = if file.is_some() {
        ranges::requested(&call.headers, entry.length)?
    } else {
        None
    };
    let span = wanted.unwrap_or(ByteRange {
        start: 0,
        length: entry.length,
    });
    let (status, extent) = match wanted {
        Some(_) => (StatusCode::PARTIAL_CONTENT, Extent::Range),
        None => (StatusCode::OK, Extent::Whole),
    };
    let mut response = answers::empty(status);
    describe(response.headers_mut(), &entry, &properties, extent);
    let Some(file) = file else {
        return Ok(response);
    };
    if wanted.is_some() {
        let range = format!("bytes {}-{}/{}", span.start, span.start + span.length - 1, entry.length);
        set(response.headers_mut(), "content-range", &range);
        if header(&call.headers, "x-ms-range-get-content-md5")? == Some("true") {
            let md5 = md5_of(&file, span).await?;
            set(response.headers_mut(), "content-md5", &md5);
        }
    }
    response
        .headers_mut()
        .insert(CONTENT_LENGTH, HeaderValue::from(span.length));
    *response.body_mut() = answers::file(file, span);
    Ok(response)
}

/// Returns the MD5 of a small part of a file, in base64.
async fn md5_of(file: &std::fs::File, span: ByteRange) -> Result<String, ErrorResponse> {
    if span.length > MAX_MD5_RANGE_BYTES {
        return Err(RANGE_TOO_LARGE_FOR_MD5.into());
    }
    let file = file.try_clone().map_err(|error| ErrorResponse::internal(&error))?;
    let hash = tokio::task::spawn_blocking(move || {
        let mut bytes = vec![0; usize::try_from(span.length).unwrap_or(0)];
        std::os::unix::fs::FileExt::read_exact_at(&file, &mut bytes, span.start)?;
        Ok::<_, std::io::Error>(BASE64_STANDARD.encode(Md5::digest(&bytes)))
    });
    hash.await
        .map_err(std::io::Error::other)
        .flatten()
        .map_err(|error| ErrorResponse::internal(&error))
}

pub(crate) async fn delete(call: &Call) -> Result<Response, ErrorResponse> {
    let conditions = Conditions::of_target(&call.headers)?;
    let recursive = call.query.flag("recursive")?;
    call.on_path(
        move |storage, path| match storage.remove(path, recursive, &conditions) {
            // A star in If-None-Match demands that the path does not exist.
            Err(StoreError::Exists) => Err(StoreError::ConditionNotMet),
            removed => removed,
        },
    )
    .await?;
    let mut response = answers::empty(match call.protocol {
        Protocol::Dfs => StatusCode::OK,
        Protocol::Blob => StatusCode::ACCEPTED,
    });
    if call.protocol == Protocol::Blob {
        set(response.headers_mut(), "x-ms-delete-type-permanent", "true");
    }
    Ok(response)
}

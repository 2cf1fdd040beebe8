//! The [Blob][api] protocol: blobs are written whole, or block by block.
//!
//! [api]: https://learn.microsoft.com/rest/api/storageservices/operations-on-blobs

use axum::http::StatusCode;
use axum::response::Response;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use uuid::Uuid;

use crate::answers;
use crate::call::Call;
use crate::checksums::Checksum;
use crate::content::{self, of_blob_write, set, set_version};
use crate::errors::{
    ErrorResponse, INVALID_HEADER, INVALID_INPUT, INVALID_QUERY, MISSING_HEADER, MISSING_LENGTH, MISSING_QUERY,
    UNSUPPORTED_QUERY,
};
use crate::paging::{from_token, page_size, to_token};
use crate::request::{content_length, endpoint, header};
use crate::storage::{Conditions, Entry, IfFound, ListDepth, ListOptions, Properties, Storage, StoreError};
use crate::xml;

/// Largest body of Put Blob in bytes.
const MAX_BLOB_BYTES: u64 = 5000 * 1024 * 1024;
/// Largest body of Put Block in bytes.
const MAX_BLOCK_BYTES: u64 = 4000 * 1024 * 1024;
/// Largest body of Put Block List in bytes: 50,000 blocks with the longest ids fit.
const MAX_BLOCK_LIST_BYTES: usize = 8 * 1024 * 1024;
/// Longest id of a block before base64, in bytes.
const MAX_BLOCK_ID_BYTES: usize = 64;

fn answer(status: StatusCode, entry: &Entry) -> Response {
    let mut response = answers::empty(status);
    set_version(response.headers_mut(), entry);
    response
}

/// Answers a write of bytes or metadata.
fn written(status: StatusCode, entry: &Entry) -> Response {
    let mut response = answer(status, entry);
    set(response.headers_mut(), "x-ms-request-server-encrypted", "true");
    response
}

pub(crate) async fn put(call: &mut Call) -> Result<Response, ErrorResponse> {
    let kind = header(&call.headers, "x-ms-blob-type")?.ok_or(MISSING_HEADER)?;
    // Files cannot be page blobs, and an append blob would be incomplete after a write.
    if kind != "BlockBlob" {
        return Err(INVALID_HEADER.into());
    }
    if content_length(&call.headers)?.is_none() {
        return Err(MISSING_LENGTH.into());
    }
    let checksum = Checksum::announced(&call.headers)?;
    let mut properties = of_blob_write(&call.headers)?;
    let conditions = Conditions::of_target(&call.headers)?;
    let received = call.receive(MAX_BLOB_BYTES, checksum).await?;
    let hash = BASE64_STANDARD.encode(received.md5);
    properties.content_md5.get_or_insert_with(|| hash.clone());
    let put = call.on_path(move |storage, path| storage.put(path, &received.draft, &conditions, |_| properties));
    let mut response = written(StatusCode::CREATED, &put.await?);
    set(response.headers_mut(), "content-md5", &hash);
    checksum.set_in(response.headers_mut());
    Ok(response)
}

pub(crate) async fn put_block(call: &mut Call) -> Result<Response, ErrorResponse> {
    let id = call.query.get("blockid").ok_or(MISSING_QUERY)?.to_owned();
    let decoded = BASE64_STANDARD.decode(&id).map_err(|_| INVALID_QUERY)?;
    if decoded.is_empty() || decoded.len() > MAX_BLOCK_ID_BYTES {
        return Err(INVALID_QUERY.into());
    }
    if content_length(&call.headers)?.is_none() {
        return Err(MISSING_LENGTH.into());
    }
    let checksum = Checksum::announced(&call.headers)?;
    let received = call.receive(MAX_BLOCK_BYTES, checksum).await?;
    call.on_path(move |storage, path| storage.put_block(path, &id, &received.draft))
        .await?;
    let mut response = answers::empty(StatusCode::CREATED);
    // Since version 2019-02-02 the answer has an MD5 only if the request has one.
    checksum.set_in(response.headers_mut());
    set(response.headers_mut(), "x-ms-request-server-encrypted", "true");
    Ok(response)
}

pub(crate) async fn put_block_list(call: &mut Call) -> Result<Response, ErrorResponse> {
    let checksum = Checksum::announced(&call.headers)?;
    let text = call.upload.text(MAX_BLOCK_LIST_BYTES, checksum).await?;
    let blocks = xml::parse_block_list(&text)?;
    // Content-Type, Content-Encoding and Content-Language describe the list, not the blob.
    let own = content::prefixed(&call.headers, content::BLOB)?;
    let properties = Properties {
        content_type: own.content_type,
        content_encoding: own.content_encoding,
        content_language: own.content_language,
        ..of_blob_write(&call.headers)?
    };
    let conditions = Conditions::of_target(&call.headers)?;
    let put = call.on_path(move |storage, path| storage.put_block_list(path, &blocks, &conditions, properties));
    Ok(written(StatusCode::CREATED, &put.await?))
}

pub(crate) async fn get_block_list(call: &Call) -> Result<Response, ErrorResponse> {
    let (committed, uncommitted) = match call.query.get("blocklisttype").map(str::to_ascii_lowercase).as_deref() {
        None | Some("committed") => (true, false),
        Some("uncommitted") => (false, true),
        Some("all") => (true, true),
        Some(_) => return Err(INVALID_QUERY.into()),
    };
    let found = call.on_path(|storage, path| {
        let blob = storage.stat(path).if_found()?;
        let blocks = storage.uncommitted(path)?;
        if blob.is_none() && blocks.is_empty() {
            return Err(StoreError::NotFound);
        }
        Ok((blob, blocks))
    });
    let (blob, blocks) = found.await?;
    let kept = blob.as_ref().map_or(&[][..], |(_, properties)| &properties.blocks);
    let body = xml::block_list(committed.then_some(kept), uncommitted.then_some(&blocks));
    let mut response = answers::text(StatusCode::OK, xml::CONTENT_TYPE, body);
    if let Some((entry, _)) = &blob {
        set_version(response.headers_mut(), entry);
    }
    let length = blob.map_or(0, |(entry, _)| entry.length);
    set(response.headers_mut(), "x-ms-blob-content-length", &length.to_string());
    Ok(response)
}

pub(crate) async fn copy(call: &Call) -> Result<Response, ErrorResponse> {
    let source = header(&call.headers, "x-ms-copy-source")?.ok_or(MISSING_HEADER)?;
    let from = call.other_path(source, INVALID_INPUT).await?;
    let metadata = content::metadata(&call.headers)?;
    let of_target = Conditions::of_target(&call.headers)?;
    let of_source = Conditions::of_source(&call.headers)?;
    let copy_id = Uuid::new_v4().to_string();
    let id = copy_id.clone();
    let copied = call.on_path(move |storage, to| {
        let (draft, mut properties) = storage.copy_of(&from, &of_source)?;
        if !metadata.is_empty() {
            properties.metadata = metadata;
        }
        properties.copy_id = Some(id);
        properties.by_dfs = false;
        storage.put(to, &draft, &of_target, |_| properties)
    });
    let mut response = answer(StatusCode::ACCEPTED, &copied.await?);
    content::set_copy(response.headers_mut(), &copy_id);
    Ok(response)
}

pub(crate) async fn get_metadata(call: &Call) -> Result<Response, ErrorResponse> {
    let (entry, properties) = call.on_path(Storage::stat).await?;
    let mut response = answers::empty(StatusCode::OK);
    set_version(response.headers_mut(), &entry);
    content::set_metadata(response.headers_mut(), &properties.metadata);
    Ok(response)
}

pub(crate) async fn set_metadata(call: &Call) -> Result<Response, ErrorResponse> {
    let metadata = content::metadata(&call.headers)?;
    let conditions = Conditions::of_target(&call.headers)?;
    let changed = call
        .on_path(move |storage, path| storage.change(path, &conditions, |properties| properties.metadata = metadata));
    Ok(written(StatusCode::OK, &changed.await?))
}

pub(crate) async fn set_properties(call: &Call) -> Result<Response, ErrorResponse> {
    let new = content::prefixed(&call.headers, content::BLOB)?;
    let conditions = Conditions::of_target(&call.headers)?;
    let changed = call.on_path(move |storage, path| {
        storage.change(path, &conditions, |properties| {
            let old = std::mem::take(properties);
            // A missing header clears its property.
            *properties = Properties {
                metadata: old.metadata,
                copy_id: old.copy_id,
                by_dfs: old.by_dfs,
                blocks: old.blocks,
                ..new
            };
        })
    });
    Ok(answer(StatusCode::OK, &changed.await?))
}

pub(crate) async fn list(call: &Call) -> Result<Response, ErrorResponse> {
    let given = |name: &str| call.query.get(name).filter(|value| !value.is_empty());
    // The only delimiter of a hierarchical namespace.
    let by_level = match given("delimiter") {
        None => false,
        Some("/") => true,
        Some(_) => return Err(UNSUPPORTED_QUERY.into()),
    };
    let limit = page_size(call.query.number("maxresults")?)?;
    let catalog = &call.state.catalog;
    let prefix = catalog.real_prefix(&call.target, given("prefix").unwrap_or(""))?;
    let start = match given("marker") {
        Some(marker) => from_token(marker)?,
        None => catalog.real_prefix(&call.target, given("startFrom").unwrap_or(""))?,
    };
    let include = call.query.get("include").unwrap_or("").to_ascii_lowercase();
    let with_metadata = include.split(',').any(|include| include == "metadata");
    let workspace = call.target.path.workspace().to_owned();
    let listed = call.on_disk(move |storage| {
        let wanted = ListOptions {
            prefix: &prefix,
            start: &start,
            limit,
            depth: if by_level { ListDepth::Level } else { ListDepth::All },
            properties: true,
        };
        storage.list(&workspace, wanted)
    });
    let (mut found, next) = listed.await?;
    for listed in &mut found {
        listed.name = catalog.shown(&call.target, &listed.name);
        if !with_metadata {
            listed.properties.metadata.clear();
        }
    }
    let parameters = ["Prefix", "Marker", "MaxResults", "Delimiter"];
    let given = parameters.into_iter().filter_map(|name| Some((name, given(name)?)));
    let head = xml::ListParameters {
        service: &endpoint(&call.headers),
        container: call.target.path.workspace(),
        given: given.collect(),
        by_level,
        next: next.map(|next| to_token(&next)),
    };
    Ok(answers::text(
        StatusCode::OK,
        xml::CONTENT_TYPE,
        xml::list(&head, &found),
    ))
}

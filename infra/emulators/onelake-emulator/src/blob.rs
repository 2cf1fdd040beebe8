//! The [Blob][api] protocol: blobs are put whole, or block by block.
//!
//! [api]: https://learn.microsoft.com/rest/api/storageservices/operations-on-blobs

use axum::http::StatusCode;
use axum::response::Response;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use uuid::Uuid;

use crate::answers;
use crate::catalog::Place;
use crate::checksums::Checksum;
use crate::conditions::Conditions;
use crate::content::{self, of_blob_write, set, set_version};
use crate::dfs::{MAX_RESULTS, from_token, to_token};
use crate::errors::{
    INVALID_HEADER, INVALID_INPUT, INVALID_QUERY, MISSING_HEADER, MISSING_LENGTH, MISSING_QUERY, QUERY_OUT_OF_RANGE,
    Refusal, UNSUPPORTED_QUERY,
};
use crate::request::{content_length, header, md5};
use crate::service::{Call, endpoint};
use crate::storage::{Entry, Properties, Shape, StoreError, Wanted};
use crate::xml;

/// What one Put Blob may bring, in bytes.
const MAX_BLOB: u64 = 5000 * 1024 * 1024;
/// What one Put Block may bring, in bytes.
const MAX_BLOCK: u64 = 4000 * 1024 * 1024;
/// A list of 50,000 blocks with the longest ids, and room around it, in bytes.
const MAX_BLOCK_LIST: usize = 8 * 1024 * 1024;
/// The longest id of a block, before base64, in bytes.
const MAX_BLOCK_ID: usize = 64;

fn answer(status: StatusCode, entry: &Entry) -> Response {
    let mut response = answers::empty(status);
    set_version(response.headers_mut(), entry);
    response
}

/// The answer to what brought bytes or metadata.
fn stored(status: StatusCode, entry: &Entry) -> Response {
    let mut response = answer(status, entry);
    set(response.headers_mut(), "x-ms-request-server-encrypted", "true");
    response
}

pub(crate) async fn put(call: &mut Call, place: &Place) -> Result<Response, Refusal> {
    let kind = header(&call.headers, "x-ms-blob-type")?.ok_or(MISSING_HEADER)?;
    // OneLake has files, so there are no page blobs, and append blobs would not be whole after a write.
    if kind != "BlockBlob" {
        return Err(INVALID_HEADER.into());
    }
    if content_length(&call.headers)?.is_none() {
        return Err(MISSING_LENGTH.into());
    }
    let checksum = Checksum::announced(&call.headers)?;
    let mut properties = of_blob_write(&call.headers)?;
    let conditions = Conditions::of_target(&call.headers)?;
    let received = call.upload.receive(&call.shared.storage, MAX_BLOB, checksum).await?;
    let hash = BASE64_STANDARD.encode(received.md5);
    properties.content_md5.get_or_insert_with(|| hash.clone());
    let path = place.path.clone();
    let put = call.on_disk(move |storage| storage.put(&path, &received.draft, &conditions, |_| properties));
    let mut response = stored(StatusCode::CREATED, &put.await?);
    set(response.headers_mut(), "content-md5", &hash);
    checksum.set_in(response.headers_mut());
    Ok(response)
}

pub(crate) async fn put_block(call: &mut Call, place: &Place) -> Result<Response, Refusal> {
    let id = call.query.get("blockid").ok_or(MISSING_QUERY)?.to_owned();
    let decoded = BASE64_STANDARD.decode(&id).map_err(|_| INVALID_QUERY)?;
    if decoded.is_empty() || decoded.len() > MAX_BLOCK_ID {
        return Err(INVALID_QUERY.into());
    }
    if content_length(&call.headers)?.is_none() {
        return Err(MISSING_LENGTH.into());
    }
    let checksum = Checksum::announced(&call.headers)?;
    let received = call.upload.receive(&call.shared.storage, MAX_BLOCK, checksum).await?;
    let path = place.path.clone();
    call.on_disk(move |storage| storage.put_block(&path, &id, &received.draft))
        .await?;
    let mut response = answers::empty(StatusCode::CREATED);
    // Since version 2019-02-02 an MD5 only where the request has one.
    checksum.set_in(response.headers_mut());
    set(response.headers_mut(), "x-ms-request-server-encrypted", "true");
    Ok(response)
}

pub(crate) async fn put_block_list(call: &mut Call, place: &Place) -> Result<Response, Refusal> {
    let checksum = Checksum::announced(&call.headers)?;
    let text = call.upload.text(MAX_BLOCK_LIST, checksum).await?;
    let blocks = xml::parse_block_list(&text)?;
    let mut properties = of_blob_write(&call.headers)?;
    // Content-Type and the like speak of the list, not of the blob.
    properties.content_type = header(&call.headers, "x-ms-blob-content-type")?.map(str::to_owned);
    properties.content_encoding = header(&call.headers, "x-ms-blob-content-encoding")?.map(str::to_owned);
    properties.content_language = header(&call.headers, "x-ms-blob-content-language")?.map(str::to_owned);
    let path = place.path.clone();
    let conditions = Conditions::of_target(&call.headers)?;
    let put = call.on_disk(move |storage| storage.put_block_list(&path, &blocks, &conditions, properties));
    Ok(stored(StatusCode::CREATED, &put.await?))
}

pub(crate) async fn get_block_list(call: &Call, place: &Place) -> Result<Response, Refusal> {
    let (committed, uncommitted) = match call.query.get("blocklisttype").map(str::to_ascii_lowercase).as_deref() {
        None | Some("committed") => (true, false),
        Some("uncommitted") => (false, true),
        Some("all") => (true, true),
        Some(_) => return Err(INVALID_QUERY.into()),
    };
    let path = place.path.clone();
    let (blob, blocks) = call
        .on_disk(move |storage| {
            let blob = match storage.look(&path) {
                Ok(found) => Some(found),
                Err(StoreError::NotFound) => None,
                Err(error) => return Err(error),
            };
            let blocks = storage.uncommitted(&path)?;
            if blob.is_none() && blocks.is_empty() {
                return Err(StoreError::NotFound);
            }
            Ok((blob, blocks))
        })
        .await?;
    let kept = blob
        .as_ref()
        .map(|(_, properties)| properties.blocks.as_slice())
        .unwrap_or_default();
    let body = xml::block_list(committed.then_some(kept), uncommitted.then_some(&blocks));
    let mut response = answers::text(StatusCode::OK, xml::CONTENT_TYPE, body);
    if let Some((entry, _)) = &blob {
        set_version(response.headers_mut(), entry);
    }
    let length = blob.map_or(0, |(entry, _)| entry.length);
    set(response.headers_mut(), "x-ms-blob-content-length", &length.to_string());
    Ok(response)
}

pub(crate) async fn copy(call: &Call, place: &Place) -> Result<Response, Refusal> {
    let source = header(&call.headers, "x-ms-copy-source")?.ok_or(MISSING_HEADER)?;
    let from = call.other_place(source, INVALID_INPUT).await?.path;
    let metadata = content::metadata(&call.headers)?;
    let of_target = Conditions::of_target(&call.headers)?;
    let of_source = Conditions::of_source(&call.headers)?;
    let to = place.path.clone();
    let copy_id = Uuid::new_v4().to_string();
    let id = copy_id.clone();
    let copied = call.on_disk(move |storage| {
        let (draft, mut properties) = storage.copy_of(&from, &of_source)?;
        if !metadata.is_empty() {
            properties.metadata = metadata;
        }
        properties.copy_id = Some(id);
        properties.by_dfs = false;
        storage.put(&to, &draft, &of_target, |_| properties)
    });
    let mut response = answer(StatusCode::ACCEPTED, &copied.await?);
    content::set_copy(response.headers_mut(), &copy_id);
    Ok(response)
}

pub(crate) async fn get_metadata(call: &Call, place: &Place) -> Result<Response, Refusal> {
    let path = place.path.clone();
    let (entry, properties) = call.on_disk(move |storage| storage.look(&path)).await?;
    let mut response = answers::empty(StatusCode::OK);
    set_version(response.headers_mut(), &entry);
    content::set_metadata(response.headers_mut(), &properties.metadata);
    Ok(response)
}

pub(crate) async fn set_metadata(call: &Call, place: &Place) -> Result<Response, Refusal> {
    let metadata = content::metadata(&call.headers)?;
    let path = place.path.clone();
    let conditions = Conditions::of_target(&call.headers)?;
    let changed =
        call.on_disk(move |storage| storage.change(&path, &conditions, |properties| properties.metadata = metadata));
    Ok(stored(StatusCode::OK, &changed.await?))
}

pub(crate) async fn set_properties(call: &Call, place: &Place) -> Result<Response, Refusal> {
    let text = |name: &str| Ok::<_, Refusal>(header(&call.headers, name)?.map(str::to_owned));
    let new = Properties {
        content_type: text("x-ms-blob-content-type")?,
        content_encoding: text("x-ms-blob-content-encoding")?,
        content_language: text("x-ms-blob-content-language")?,
        content_disposition: text("x-ms-blob-content-disposition")?,
        cache_control: text("x-ms-blob-cache-control")?,
        content_md5: md5(&call.headers, "x-ms-blob-content-md5")?.map(|md5| BASE64_STANDARD.encode(md5)),
        ..Properties::default()
    };
    let path = place.path.clone();
    let conditions = Conditions::of_target(&call.headers)?;
    let changed = call.on_disk(move |storage| {
        storage.change(&path, &conditions, |properties| {
            // All of them are replaced; what is not given is cleared.
            properties.content_type = new.content_type;
            properties.content_encoding = new.content_encoding;
            properties.content_language = new.content_language;
            properties.content_disposition = new.content_disposition;
            properties.cache_control = new.cache_control;
            properties.content_md5 = new.content_md5;
        })
    });
    Ok(answer(StatusCode::OK, &changed.await?))
}

pub(crate) async fn list(call: &Call, place: &Place) -> Result<Response, Refusal> {
    let given = |name: &str| call.query.get(name).filter(|value| !value.is_empty());
    // A hierarchical namespace knows this delimiter alone.
    let by_level = match given("delimiter") {
        None => false,
        Some("/") => true,
        Some(_) => return Err(UNSUPPORTED_QUERY.into()),
    };
    let asked_limit = call.query.number("maxresults")?;
    if asked_limit == Some(0) {
        return Err(QUERY_OUT_OF_RANGE.into());
    }
    let limit = asked_limit.unwrap_or(MAX_RESULTS).min(MAX_RESULTS);
    let prefix = call.shared.catalog.real_prefix(place, given("prefix").unwrap_or(""))?;
    let start = match given("marker") {
        Some(marker) => from_token(marker)?,
        None => call
            .shared
            .catalog
            .real_prefix(place, given("startFrom").unwrap_or(""))?,
    };
    let include = call.query.get("include").unwrap_or("").to_ascii_lowercase();
    let with_metadata = include.split(',').any(|include| include == "metadata");
    let workspace = place.path.workspace().to_owned();
    let (found, next) = call
        .on_disk(move |storage| {
            let wanted = Wanted {
                prefix: &prefix,
                start: &start,
                limit: usize::try_from(limit).unwrap_or(usize::MAX),
                shape: if by_level { Shape::Level } else { Shape::Flat },
                properties: true,
            };
            storage.list(&workspace, wanted)
        })
        .await?;
    let lines: Vec<_> = found
        .into_iter()
        .map(|mut listed| {
            if !with_metadata {
                listed.properties.metadata.clear();
            }
            (call.shared.catalog.shown(place, &listed.name), listed)
        })
        .collect();
    let mut asked = Vec::new();
    for (shown, name) in [
        ("Prefix", "prefix"),
        ("Marker", "marker"),
        ("MaxResults", "maxresults"),
        ("Delimiter", "delimiter"),
    ] {
        if let Some(value) = given(name) {
            asked.push((shown, value.to_owned()));
        }
    }
    let head = xml::ListHead {
        service: &endpoint(&call.headers),
        container: place.path.workspace(),
        asked,
        by_level,
        next: next.map(|next| to_token(&next)),
    };
    Ok(answers::text(
        StatusCode::OK,
        xml::CONTENT_TYPE,
        xml::list(&head, &lines),
    ))
}

//! Content type, metadata and other properties: from request headers to [`Properties`], and back to answers.
//!
//! Both protocols share the metadata: `x-ms-meta-NAME: value` for Blob clients, `x-ms-properties: NAME=base64(value),…` for
//! Data Lake clients.

use std::collections::BTreeMap;

use axum::http::header::HeaderName;
use axum::http::{HeaderMap, HeaderValue};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use crate::errors::{ErrorResponse, INVALID_HEADER, INVALID_METADATA, INVALID_PROPERTY};
use crate::request::{header, md5};
use crate::storage::{Entry, Properties};

pub(crate) const OCTETS: &str = "application/octet-stream";
const META: &str = "x-ms-meta-";

/// Returns the properties that a Blob write sets: `x-ms-blob-content-type`, else `Content-Type`, and so on.
pub(crate) fn of_blob_write(headers: &HeaderMap) -> Result<Properties, ErrorResponse> {
    let either = |own: &str, general: &str| {
        let value = header(headers, own)?;
        let value = if value.is_some() {
            value
        } else {
            header(headers, general)?
        };
        Ok::<_, ErrorResponse>(value.filter(|value| !value.is_empty()).map(str::to_owned))
    };
    Ok(Properties {
        content_type: either("x-ms-blob-content-type", "content-type")?,
        content_encoding: either("x-ms-blob-content-encoding", "content-encoding")?,
        content_language: either("x-ms-blob-content-language", "content-language")?,
        content_disposition: header(headers, "x-ms-blob-content-disposition")?.map(str::to_owned),
        cache_control: either("x-ms-blob-cache-control", "cache-control")?,
        content_md5: md5(headers, "x-ms-blob-content-md5")?.map(|md5| BASE64_STANDARD.encode(md5)),
        metadata: metadata(headers)?,
        ..Properties::default()
    })
}

/// Sets the properties that a Data Lake write has; the others stay.
pub(crate) fn set_by_dfs(properties: &mut Properties, headers: &HeaderMap) -> Result<(), ErrorResponse> {
    let set = |field: &mut Option<String>, name: &str| {
        if let Some(value) = header(headers, name)? {
            *field = Some(value.to_owned());
        }
        Ok::<_, ErrorResponse>(())
    };
    set(&mut properties.content_type, "x-ms-content-type")?;
    set(&mut properties.content_encoding, "x-ms-content-encoding")?;
    set(&mut properties.content_language, "x-ms-content-language")?;
    set(&mut properties.content_disposition, "x-ms-content-disposition")?;
    set(&mut properties.cache_control, "x-ms-cache-control")?;
    if let Some(md5) = md5(headers, "x-ms-content-md5")? {
        properties.content_md5 = Some(BASE64_STANDARD.encode(md5));
    }
    if let Some(text) = header(headers, "x-ms-properties")? {
        properties.metadata = dfs_metadata(text)?;
    }
    Ok(())
}

/// Returns the metadata in `x-ms-meta-*`.
pub(crate) fn metadata(headers: &HeaderMap) -> Result<BTreeMap<String, String>, ErrorResponse> {
    let mut metadata = BTreeMap::new();
    for (name, value) in headers {
        let Some(name) = name.as_str().strip_prefix(META) else {
            continue;
        };
        if !is_identifier(name) {
            return Err(INVALID_METADATA.into());
        }
        let value = std::str::from_utf8(value.as_bytes()).map_err(|_| INVALID_METADATA)?;
        metadata.insert(name.to_owned(), value.to_owned());
    }
    Ok(metadata)
}

/// Parses `name=base64,…`.
fn dfs_metadata(text: &str) -> Result<BTreeMap<String, String>, ErrorResponse> {
    let pairs = text
        .split(',')
        .map(str::trim)
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').ok_or(INVALID_HEADER)?;
            if !is_identifier(name) {
                return Err(INVALID_PROPERTY.into());
            }
            let value = BASE64_STANDARD.decode(value).map_err(|_| INVALID_HEADER)?;
            Ok((name.to_owned(), String::from_utf8(value).map_err(|_| INVALID_HEADER)?))
        });
    pairs.collect()
}

/// Names are C# identifiers.
fn is_identifier(name: &str) -> bool {
    !name.starts_with(|c: char| c.is_ascii_digit())
        && !name.is_empty()
        && name.chars().all(|c| c.is_alphanumeric() || c == '_')
}

/// Sets a header, unless the value is not valid in a header.
pub(crate) fn set(headers: &mut HeaderMap, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_bytes(value.as_bytes()) {
        headers.insert(HeaderName::from_static(name), value);
    }
}

/// Sets ETag and Last-Modified.
pub(crate) fn set_version(headers: &mut HeaderMap, entry: &Entry) {
    set(headers, "etag", &format!("\"{}\"", entry.stamp.etag()));
    set(headers, "last-modified", &entry.stamp.http_date());
}

/// Whether an answer is about a whole file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    Whole,
    Range,
}

/// Sets the headers of a HEAD or GET of a file or folder, for both protocols.
pub(crate) fn describe(headers: &mut HeaderMap, entry: &Entry, properties: &Properties, extent: Extent) {
    set_version(headers, entry);
    set(headers, "accept-ranges", "bytes");
    set(
        headers,
        "content-type",
        properties.content_type.as_deref().unwrap_or(OCTETS),
    );
    let optional = [
        ("content-encoding", &properties.content_encoding),
        ("content-language", &properties.content_language),
        ("content-disposition", &properties.content_disposition),
        ("cache-control", &properties.cache_control),
        (
            match extent {
                Extent::Whole => "content-md5",
                Extent::Range => "x-ms-blob-content-md5",
            },
            &properties.content_md5,
        ),
    ];
    for (name, value) in optional {
        if let Some(value) = value {
            set(headers, name, value);
        }
    }
    set(headers, "x-ms-creation-time", &entry.created.http_date());
    set(headers, "x-ms-blob-type", "BlockBlob");
    if let Some(id) = &properties.copy_id {
        set_copy(headers, id);
    }
    set(headers, "x-ms-lease-status", "unlocked");
    set(headers, "x-ms-lease-state", "available");
    set(headers, "x-ms-server-encrypted", "true");
    set(
        headers,
        "x-ms-resource-type",
        if entry.is_folder() { "directory" } else { "file" },
    );
    // OneLake does not have owners.
    set(headers, "x-ms-owner", "$superuser");
    set(headers, "x-ms-group", "$superuser");
    set(headers, "x-ms-permissions", "---------");
    let mut metadata = properties.metadata.clone();
    if entry.is_folder() {
        metadata.insert("hdi_isfolder".to_owned(), "true".to_owned());
    }
    set_metadata(headers, &metadata);
    if !properties.metadata.is_empty() {
        let pairs = properties
            .metadata
            .iter()
            .map(|(name, value)| format!("{name}={}", BASE64_STANDARD.encode(value)));
        set(headers, "x-ms-properties", &pairs.collect::<Vec<_>>().join(","));
    }
}

/// Sets the headers of a copy; copies are synchronous.
pub(crate) fn set_copy(headers: &mut HeaderMap, id: &str) {
    set(headers, "x-ms-copy-id", id);
    set(headers, "x-ms-copy-status", "success");
}

/// Sets `x-ms-meta-*`.
pub(crate) fn set_metadata(headers: &mut HeaderMap, metadata: &BTreeMap<String, String>) {
    for (name, value) in metadata {
        let name = HeaderName::from_bytes(format!("{META}{name}").as_bytes());
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_bytes(value.as_bytes())) {
            headers.insert(name, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_is_the_same_in_both_protocols() {
        let mut headers = HeaderMap::new();
        headers.insert("x-ms-properties", "colour=cmVk,size=MTA=".parse().unwrap());
        let mut properties = Properties::default();
        set_by_dfs(&mut properties, &headers).unwrap();
        let mut answer = HeaderMap::new();
        set_metadata(&mut answer, &properties.metadata);
        assert_eq!(answer["x-ms-meta-colour"], "red");
        assert_eq!(answer["x-ms-meta-size"], "10");
        assert_eq!(metadata(&answer).unwrap(), properties.metadata);
    }

    #[test]
    fn invalid_metadata_is_refused() {
        for wrong in ["colour", "colour=%", "my-colour=cmVk", "=cmVk", "1=cmVk"] {
            assert!(dfs_metadata(wrong).is_err(), "{wrong}");
        }
        assert_eq!(dfs_metadata("").unwrap(), BTreeMap::new());
        let mut headers = HeaderMap::new();
        headers.insert("x-ms-meta-my-colour", "red".parse().unwrap());
        assert_eq!(metadata(&headers).unwrap_err().error, INVALID_METADATA);
    }
}

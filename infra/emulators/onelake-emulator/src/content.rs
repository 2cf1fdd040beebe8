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
use crate::request::{header, md5, owned};
use crate::storage::{Entry, Properties};

pub(crate) const OCTETS: &str = "application/octet-stream";
const META: &str = "x-ms-meta-";

/// Returns the properties that a Blob write sets: `x-ms-blob-content-type`, else `Content-Type`, and so on.
pub(crate) fn of_blob_write(headers: &HeaderMap) -> Result<Properties, ErrorResponse> {
    let either = |own: Option<String>, general: &str| {
        let value = if own.is_some() { own } else { owned(headers, general)? };
        Ok::<_, ErrorResponse>(value.filter(|value| !value.is_empty()))
    };
    let own = prefixed(headers, BLOB)?;
    Ok(Properties {
        content_type: either(own.content_type, "content-type")?,
        content_encoding: either(own.content_encoding, "content-encoding")?,
        content_language: either(own.content_language, "content-language")?,
        cache_control: either(own.cache_control, "cache-control")?,
        metadata: metadata(headers)?,
        ..own
    })
}

/// The prefix of the Blob protocol for [`prefixed`].
pub(crate) const BLOB: &str = "x-ms-blob-";

/// Returns the properties in the headers `{prefix}content-type` and so on.
pub(crate) fn prefixed(headers: &HeaderMap, prefix: &str) -> Result<Properties, ErrorResponse> {
    let text = |name: &str| owned(headers, &format!("{prefix}{name}"));
    let md5 = md5(headers, &format!("{prefix}content-md5"))?;
    Ok(Properties {
        content_type: text("content-type")?,
        content_encoding: text("content-encoding")?,
        content_language: text("content-language")?,
        content_disposition: text("content-disposition")?,
        cache_control: text("cache-control")?,
        content_md5: md5.map(|md5| BASE64_STANDARD.encode(md5)),
        ..Properties::default()
    })
}

/// Returns the change of properties by a Data Lake write; those that it does not have stay.
pub(crate) fn of_dfs_write(headers: &HeaderMap) -> Result<impl FnOnce(&mut Properties) + use<>, ErrorResponse> {
    let new = prefixed(headers, "x-ms-")?;
    let metadata = header(headers, "x-ms-properties")?.map(dfs_metadata).transpose()?;
    Ok(move |properties: &mut Properties| {
        let old = std::mem::take(properties);
        *properties = Properties {
            content_type: new.content_type.or(old.content_type),
            content_encoding: new.content_encoding.or(old.content_encoding),
            content_language: new.content_language.or(old.content_language),
            content_disposition: new.content_disposition.or(old.content_disposition),
            cache_control: new.cache_control.or(old.cache_control),
            content_md5: new.content_md5.or(old.content_md5),
            metadata: metadata.unwrap_or(old.metadata),
            ..old
        };
    })
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
    let pairs = text.split(',').map(str::trim).filter(|pair| !pair.is_empty());
    let decoded = pairs.map(|pair| {
        let (name, value) = pair.split_once('=').ok_or(INVALID_HEADER)?;
        if !is_identifier(name) {
            return Err(INVALID_PROPERTY.into());
        }
        let value = BASE64_STANDARD.decode(value).map_err(|_| INVALID_HEADER)?;
        Ok((name.to_owned(), String::from_utf8(value).map_err(|_| INVALID_HEADER)?))
    });
    decoded.collect()
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
    let md5_header = match extent {
        Extent::Whole => "content-md5",
        Extent::Range => "x-ms-blob-content-md5",
    };
    let created = entry.created.http_date();
    for (name, value) in [
        ("accept-ranges", Some("bytes")),
        ("content-type", properties.content_type.as_deref().or(Some(OCTETS))),
        ("content-encoding", properties.content_encoding.as_deref()),
        ("content-language", properties.content_language.as_deref()),
        ("content-disposition", properties.content_disposition.as_deref()),
        ("cache-control", properties.cache_control.as_deref()),
        (md5_header, properties.content_md5.as_deref()),
        ("x-ms-creation-time", Some(&created)),
        ("x-ms-blob-type", Some("BlockBlob")),
        ("x-ms-lease-status", Some("unlocked")),
        ("x-ms-lease-state", Some("available")),
        ("x-ms-server-encrypted", Some("true")),
        ("x-ms-resource-type", Some(entry.resource_type())),
        // OneLake does not have owners.
        ("x-ms-owner", Some("$superuser")),
        ("x-ms-group", Some("$superuser")),
        ("x-ms-permissions", Some("---------")),
    ] {
        if let Some(value) = value {
            set(headers, name, value);
        }
    }
    if let Some(id) = &properties.copy_id {
        set_copy(headers, id);
    }
    let mut metadata = properties.metadata.clone();
    if entry.is_folder() {
        metadata.insert("hdi_isfolder".to_owned(), "true".to_owned());
    }
    set_metadata(headers, &metadata);
    if !properties.metadata.is_empty() {
        let pairs = properties.metadata.iter();
        let pairs = pairs.map(|(name, value)| format!("{name}={}", BASE64_STANDARD.encode(value)));
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
        of_dfs_write(&headers).unwrap()(&mut properties);
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

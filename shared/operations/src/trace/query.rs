//! What is looked for: an id, and what it may be.

use clap::ValueEnum;
use serde::Serialize;
use uuid::Uuid;

use crate::error::{OperationError, refuse};
use xact_contracts::messages::MAX_ID_BYTES;
use xact_contracts::redaction::{redact_text, redact_url};
use xact_contracts::url_guard::MAX_URL_BYTES;

/// What an id is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, ValueEnum, strum::Display)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "lowercase")]
#[expect(missing_docs, reason = "doc comments would be help texts of the values")]
pub enum IdKind {
    #[strum(serialize = "trace id")]
    TraceId,
    #[strum(serialize = "media id")]
    MediaId,
    #[strum(serialize = "assignment id")]
    AssignmentId,
    #[strum(serialize = "claim number")]
    ClaimNumber,
    #[strum(serialize = "blob path")]
    BlobPath,
    Url,
}

/// An id, and what it may be, in the order in which it is tried. It may hold a signature, so it has no `Debug`.
#[derive(Clone)]
pub(super) struct Query {
    /// The id; a blob path without the place of the files.
    pub(super) text: String,
    pub(super) kinds: Vec<IdKind>,
    /// The URL as it is stored.
    pub(super) redacted_url: String,
}

impl Query {
    /// Reads an id. `files` are the texts that a blob path may begin with: the place of the files, in its forms.
    ///
    /// # Errors
    /// When the id is blank or too long, or cannot be of the kind that was requested.
    pub(super) fn parse(text: &str, kind: Option<IdKind>, files: &[String]) -> Result<Self, OperationError> {
        let text = text.trim();
        if text.is_empty() {
            return refuse(
                "the id is empty: give a trace id, media id, assignment id, claim number, blob path or attachment URL",
            );
        }
        if text.len() > MAX_URL_BYTES {
            let bytes = text.len();
            return refuse(format!(
                "the id has {bytes} bytes: ids have at most {MAX_ID_BYTES}, URLs and paths at most {MAX_URL_BYTES}"
            ));
        }
        let within = files
            .iter()
            .find_map(|files| text.strip_prefix(files.trim_end_matches('/'))?.strip_prefix('/'));
        let kinds = match kind {
            Some(kind) => vec![kind],
            None if within.is_some() => vec![IdKind::BlobPath],
            None => guess(text),
        };
        let is_key = |kind: &IdKind| !matches!(kind, IdKind::BlobPath | IdKind::Url);
        if kinds.iter().all(is_key) && text.len() > MAX_ID_BYTES {
            return refuse(format!(
                "the id has {} bytes, and no id has more than {MAX_ID_BYTES}; is it a URL or a path? --as url, --as blob-path",
                text.len()
            ));
        }
        if kinds == [IdKind::MediaId] && text.parse::<Uuid>().is_err() {
            return refuse("a media id is a UUID, such as 13bb61f0-41d1-548c-97c8-ebdee367da68");
        }
        let text = match within {
            Some(path) if kinds == [IdKind::BlobPath] => path,
            _ => text,
        };
        Ok(Self {
            text: text.to_owned(),
            kinds,
            redacted_url: redact_url(text),
        })
    }

    pub(super) fn may_be(&self, kind: IdKind) -> bool {
        self.kinds.contains(&kind)
    }

    /// Returns the id without secrets.
    pub(super) fn shown(&self) -> String {
        if self.may_be(IdKind::Url) {
            self.redacted_url.clone()
        } else {
            redact_text(&self.text)
        }
    }

    pub(super) fn media_id(&self) -> Option<Uuid> {
        self.text.parse().ok().filter(|_| self.may_be(IdKind::MediaId))
    }

    /// Returns the trace id that the id is, or that a blob path names; `None` for a path that has a hash in its place, because
    /// the trace id is not a safe name.
    pub(super) fn trace_id(&self) -> Option<&str> {
        if self.may_be(IdKind::TraceId) {
            return Some(&self.text);
        }
        let folder = self.text.split('/').nth(2).filter(|_| self.may_be(IdKind::BlobPath))?;
        let hash = folder.rsplit_once('~').map(|(_, hash)| hash);
        let is_hash = |hash: &str| hash.len() == 8 && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
        Some(folder).filter(|_| !hash.is_some_and(is_hash))
    }
}

fn guess(text: &str) -> Vec<IdKind> {
    let has_scheme = |scheme: &str| {
        text.get(..scheme.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(scheme))
    };
    if has_scheme("https://") || has_scheme("http://") {
        return vec![IdKind::Url];
    }
    let mut kinds = vec![IdKind::TraceId];
    if text.parse::<Uuid>().is_ok() {
        kinds.push(IdKind::MediaId);
    }
    kinds.extend([IdKind::AssignmentId, IdKind::ClaimNumber]);
    // {status_subtype}/{assignment_id}/{trace_id}/{name}; a trace id with slashes can be named by --as.
    if text.split('/').filter(|part| !part.is_empty()).count() == 4 {
        return vec![IdKind::BlobPath];
    }
    kinds
}

#[cfg(test)]
mod tests {
    use super::IdKind::{AssignmentId, BlobPath, ClaimNumber, MediaId, TraceId, Url};
    use super::*;

    const FILES: &str = "abfss://w@host/item/Files/xact";

    fn parse(text: &str, kind: Option<IdKind>) -> Result<Query, String> {
        Query::parse(text, kind, &[FILES.to_owned()]).map_err(|error| error.to_string())
    }

    #[test]
    fn an_id_tells_what_it_may_be() {
        let plain = vec![TraceId, AssignmentId, ClaimNumber];
        let uuid = "13bb61f0-41d1-548c-97c8-ebdee367da68";
        let path = "documentsReceived/A1/t-1/A1_a.pdf";
        for (text, kinds, trace_id) in [
            (" t-1 ", plain.clone(), Some("t-1")),
            ("a/b", plain, Some("a/b")),
            (uuid, vec![TraceId, MediaId, AssignmentId, ClaimNumber], Some(uuid)),
            ("HTTPS://h/a.pdf?sig=x", vec![Url], None),
            (path, vec![BlobPath], Some("t-1")),
            (&format!("{FILES}/{path}"), vec![BlobPath], Some("t-1")),
            ("documentsReceived/A1/a_b~0123abcd/a.pdf", vec![BlobPath], None),
        ] {
            let query = parse(text, None).unwrap();
            assert_eq!(
                (query.kinds.as_slice(), query.trace_id()),
                (&kinds[..], trace_id),
                "{text}"
            );
        }
        assert_eq!(parse(path, Some(TraceId)).unwrap().trace_id(), Some(path));
        assert_eq!(parse(&format!("{FILES}/{path}"), None).unwrap().text, path);
    }

    #[test]
    fn an_id_that_cannot_be_one_is_refused_with_what_to_do() {
        let long = "x".repeat(MAX_ID_BYTES + 1);
        let huge = format!("https://h/{}", "x".repeat(MAX_URL_BYTES));
        for (text, kind, said) in [
            ("", None, "the id is empty"),
            (" \t", None, "the id is empty"),
            (&long, None, "--as url"),
            (&huge, None, "at most 8192"),
            ("A1", Some(MediaId), "is a UUID"),
        ] {
            let error = parse(text, kind).err().unwrap();
            assert!(error.contains(said), "{error}");
        }
    }

    #[test]
    fn no_signature_is_shown() {
        for text in ["https://h/a.pdf?X-Amz-Signature=PLANTED", "sig=PLANTED"] {
            assert!(!parse(text, None).unwrap().shown().contains("PLANTED"), "{text}");
        }
    }
}

//! What is known of a complete file, written behind its content in the same file.
//!
//! A redelivered task needs the hash and the content type of a file that an earlier attempt finished. Behind the content
//! they cost no call of their own, and a complete file always has them. A file is its content, the note as JSON, the
//! note's length in four bytes (little endian), and [`MAGIC`].
//!
//! A reader of the content reads as many bytes as the message announces, and not to the end of the file.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// What is known of a complete file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cached {
    /// Size of the content.
    pub bytes: u64,
    /// SHA-256 of the content in lower-case hex.
    pub sha256: String,
    /// What its content is, and what its server said of it.
    #[serde(flatten)]
    pub kind: Kind,
    /// When it was complete.
    #[serde(with = "xact_contracts::time")]
    pub downloaded_at: Timestamp,
}

/// What the content of a file was found to be. Notes of earlier versions have the content type alone.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kind {
    /// The kind's extension in upper case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file_type: Option<String>,
    /// Of the content, or as the server declared it.
    #[serde(default)]
    pub content_type: Option<String>,
    /// As the server declared it, if that is something else than the content.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub declared_content_type: Option<String>,
}

/// Ends a complete file.
const MAGIC: &[u8; 8] = b"XACTNOTE";
/// Length of the note, and [`MAGIC`].
const END_BYTES: u64 = 12;
/// No note is longer: the content type comes from a header, and HTTP headers are limited to less.
const MAX_NOTE_BYTES: u32 = 1 << 20;

/// What is written behind the content.
pub(crate) fn encode(cached: &Cached) -> io::Result<Vec<u8>> {
    let mut note = serde_json::to_vec(cached)?;
    let bytes = u32::try_from(note.len()).map_err(io::Error::other)?;
    note.extend_from_slice(&bytes.to_le_bytes());
    note.extend_from_slice(MAGIC);
    Ok(note)
}

/// Reads the note of a file of this length; `None` if it has none, or none that fits its length.
pub(crate) fn read(file: &File, length: u64) -> Option<Cached> {
    let mut end = [0; END_BYTES as usize];
    let end_at = length.checked_sub(END_BYTES)?;
    file.read_exact_at(&mut end, end_at).ok()?;
    let [a, b, c, d, magic @ ..] = end;
    let note_bytes = u32::from_le_bytes([a, b, c, d]);
    if &magic != MAGIC || note_bytes > MAX_NOTE_BYTES {
        return None;
    }
    let content_bytes = end_at.checked_sub(note_bytes.into())?;
    let mut note = vec![0; usize::try_from(note_bytes).ok()?];
    file.read_exact_at(&mut note, content_bytes).ok()?;
    let cached: Cached = serde_json::from_slice(&note).ok()?;
    (cached.bytes == content_bytes).then_some(cached)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn cached(bytes: u64) -> Cached {
        Cached {
            bytes,
            sha256: "ab".to_owned(),
            kind: Kind {
                file_type: Some("HEIC".to_owned()),
                content_type: Some("image/heic".to_owned()),
                declared_content_type: Some("image/jpeg".to_owned()),
            },
            downloaded_at: "2025-01-01T00:00:00Z".parse().unwrap(),
        }
    }

    fn read_back(content: &[u8]) -> Option<Cached> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(content).unwrap();
        read(&file, content.len() as u64)
    }

    #[test]
    fn a_note_is_read_back_from_the_end_of_its_file_alone() {
        let whole = [&b"hello"[..], &encode(&cached(5)).unwrap()].concat();
        assert_eq!(read_back(&whole), Some(cached(5)));
        let empty = encode(&cached(0)).unwrap();
        assert_eq!(read_back(&empty), Some(cached(0)), "an empty file has a note as well");
        // Every file that is cut short, and one that is too long.
        for length in 0..whole.len() {
            assert_eq!(read_back(&whole[..length]), None, "{length} bytes");
        }
        assert_eq!(read_back(&[&whole[..], b"x"].concat()), None);
        assert_eq!(read_back(&whole[1..]), None, "a byte of the content is missing");
    }

    #[test]
    fn a_note_of_an_earlier_version_is_read() {
        let note = br#"{"bytes":5,"sha256":"ab","content_type":"application/pdf","downloaded_at":"2025-01-01T00:00:00.000000Z"}"#;
        let end = [&u32::try_from(note.len()).unwrap().to_le_bytes()[..], MAGIC].concat();
        let read = read_back(&[&b"hello"[..], note, &end].concat()).unwrap();
        assert_eq!(read.kind.content_type.as_deref(), Some("application/pdf"));
        assert_eq!((read.kind.file_type, read.kind.declared_content_type), (None, None));
    }

    #[test]
    fn an_end_that_claims_too_much_is_no_note() {
        for claimed in [u32::MAX, 1 << 20, 14] {
            let end = [&b"0123456789"[..], &claimed.to_le_bytes(), MAGIC].concat();
            assert_eq!(read_back(&end), None, "{claimed}");
        }
    }
}

//! The footer of a complete file: its hash, size and kind, written after the content in the same file.
//!
//! A redelivered task needs them of a file that an earlier attempt completed. In the same file they take no additional
//! call, and a complete file always has them. A file consists of its content, the [`FileInfo`] as JSON, the JSON's length
//! in four bytes (little endian), and [`MAGIC`].
//!
//! Readers of the content read as many bytes as the message announces, and not to the end of the file.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Size, hash and kind of a complete file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileInfo {
    /// Size of the content.
    pub bytes: u64,
    /// SHA-256 of the content in lower-case hex.
    pub sha256: String,
    /// The kind of the content.
    #[serde(flatten)]
    pub kind: ContentKind,
    /// When the file was completed.
    #[serde(with = "xact_contracts::time")]
    pub downloaded_at: Timestamp,
}

/// The kind of a file's content. Footers of earlier versions have the content type only.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContentKind {
    /// The file extension of the detected kind, in upper case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file_type: Option<String>,
    /// The content type: of the detected kind, or as the server declared it.
    #[serde(default)]
    pub content_type: Option<String>,
    /// The content type that the server declared, if it differs from the content's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub declared_content_type: Option<String>,
}

/// The last bytes of a complete file.
const MAGIC: &[u8; 8] = b"XACTNOTE";
/// Bytes of the JSON's length and of [`MAGIC`].
const TRAILER_BYTES: u64 = 12;
/// Longest JSON that is read. The content type comes from an HTTP header, and those are limited to less.
const MAX_JSON_BYTES: u32 = 1 << 20;

/// Returns the footer to write after the content.
pub(crate) fn encode(info: &FileInfo) -> io::Result<Vec<u8>> {
    let mut footer = serde_json::to_vec(info)?;
    let bytes = u32::try_from(footer.len()).map_err(io::Error::other)?;
    footer.extend_from_slice(&bytes.to_le_bytes());
    footer.extend_from_slice(MAGIC);
    Ok(footer)
}

/// Reads the footer of a file of this length; `None` if there is none that matches the length.
pub(crate) fn read(file: &File, length: u64) -> Option<FileInfo> {
    let mut trailer = [0; TRAILER_BYTES as usize];
    let trailer_at = length.checked_sub(TRAILER_BYTES)?;
    file.read_exact_at(&mut trailer, trailer_at).ok()?;
    let [a, b, c, d, magic @ ..] = trailer;
    let json_bytes = u32::from_le_bytes([a, b, c, d]);
    if &magic != MAGIC || json_bytes > MAX_JSON_BYTES {
        return None;
    }
    let content_bytes = trailer_at.checked_sub(json_bytes.into())?;
    let mut json = vec![0; usize::try_from(json_bytes).ok()?];
    file.read_exact_at(&mut json, content_bytes).ok()?;
    let info: FileInfo = serde_json::from_slice(&json).ok()?;
    (info.bytes == content_bytes).then_some(info)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn info(bytes: u64) -> FileInfo {
        FileInfo {
            bytes,
            sha256: "ab".to_owned(),
            kind: ContentKind {
                file_type: Some("HEIC".to_owned()),
                content_type: Some("image/heic".to_owned()),
                declared_content_type: Some("image/jpeg".to_owned()),
            },
            downloaded_at: "2025-01-01T00:00:00Z".parse().unwrap(),
        }
    }

    fn read_back(content: &[u8]) -> Option<FileInfo> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(content).unwrap();
        read(&file, content.len() as u64)
    }

    #[test]
    fn a_footer_is_read_only_from_the_end_of_a_whole_file() {
        let whole = [&b"hello"[..], &encode(&info(5)).unwrap()].concat();
        assert_eq!(read_back(&whole), Some(info(5)));
        let empty = encode(&info(0)).unwrap();
        assert_eq!(read_back(&empty), Some(info(0)), "an empty file has a footer as well");
        // Every truncated file, and one that is too long.
        for length in 0..whole.len() {
            assert_eq!(read_back(&whole[..length]), None, "{length} bytes");
        }
        assert_eq!(read_back(&[&whole[..], b"x"].concat()), None);
        assert_eq!(read_back(&whole[1..]), None, "a byte of the content is missing");
    }

    #[test]
    fn a_footer_of_an_earlier_version_is_read() {
        let json = br#"{"bytes":5,"sha256":"ab","content_type":"application/pdf","downloaded_at":"2025-01-01T00:00:00.000000Z"}"#;
        let end = [&u32::try_from(json.len()).unwrap().to_le_bytes()[..], MAGIC].concat();
        let read = read_back(&[&b"hello"[..], json, &end].concat()).unwrap();
        assert_eq!(read.kind.content_type.as_deref(), Some("application/pdf"));
        assert_eq!((read.kind.file_type, read.kind.declared_content_type), (None, None));
    }

    #[test]
    fn a_trailer_with_a_wrong_length_is_not_a_footer() {
        for claimed in [u32::MAX, 1 << 20, 14] {
            let end = [&b"0123456789"[..], &claimed.to_le_bytes(), MAGIC].concat();
            assert_eq!(read_back(&end), None, "{claimed}");
        }
    }
}

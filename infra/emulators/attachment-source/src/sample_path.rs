//! What a path asks for: fault, size and extension.

use percent_encoding::percent_decode_str;

use crate::faults::{self, Fault};

/// The size of a file whose path does not have one, in bytes.
pub const DEFAULT_BYTES: u64 = 20 * 1024;

/// The largest file in bytes; a larger size is served as this. Sizes in MP4 and ZIP files have 32 bits.
pub const MAX_BYTES: u64 = 4_000_000_000;

/// A parsed path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SamplePath {
    /// The fault; `None` for a file without one.
    pub fault: Option<Fault>,
    /// The requested size in bytes. The least size of a format may be larger.
    pub bytes: u64,
    /// The extension, lower-cased; `None` when the last segment has none (the server answers 404).
    pub extension: Option<String>,
}

impl SamplePath {
    /// Parses a percent-decoded path. A path that does not fit `/{kind}/{size}/{unique}/{file name}` is a file of
    /// [`DEFAULT_BYTES`] without a fault.
    #[must_use]
    pub fn parse(path: &str) -> Self {
        let segments: Vec<&str> = path.strip_prefix('/').unwrap_or(path).split('/').collect();
        let extension = segments
            .last()
            .and_then(|name| name.rsplit_once('.'))
            .map(|(_, extension)| extension.to_ascii_lowercase())
            .filter(|extension| !extension.is_empty());
        let asked = match segments.as_slice() {
            [kind, size, _, _, ..] => size.parse().ok().and_then(|bytes: u64| match *kind {
                faults::OK => Some((None, bytes)),
                kind => kind.parse().ok().map(|fault| (Some(fault), bytes)),
            }),
            _ => None,
        };
        let (fault, bytes) = asked.unwrap_or((None, DEFAULT_BYTES));
        Self {
            fault,
            bytes: bytes.min(MAX_BYTES),
            extension,
        }
    }
}

/// Returns the path of a URL as [`content_for`](crate::content_for) takes it: percent-decoded, without the query.
/// Bytes that are not UTF-8 become U+FFFD.
#[must_use]
pub fn decode_path(url_path: &str) -> String {
    let path = url_path.split(['?', '#']).next().unwrap_or(url_path);
    percent_decode_str(path).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fault_size_and_extension_come_from_the_path() {
        for (path, fault, bytes, extension) in [
            ("/ok/5000/a/b.PDF", None, 5000, Some("pdf")),
            ("/missing/5/a/b.jpg", Some(Fault::Missing), 5, Some("jpg")),
            ("/slow/5/deep/er/b.jpg", Some(Fault::Slow), 5, Some("jpg")),
            ("/ok/18446744073709551615/a/b.mp4", None, MAX_BYTES, Some("mp4")),
            ("/test.pdf", None, DEFAULT_BYTES, Some("pdf")),
            // The size is not a number; the unique segment is missing.
            ("/missing/many/a/b.txt", None, DEFAULT_BYTES, Some("txt")),
            ("/missing/5/b.txt", None, DEFAULT_BYTES, Some("txt")),
            ("/nonsense/5/a/b.txt", None, DEFAULT_BYTES, Some("txt")),
            ("/no-extension", None, DEFAULT_BYTES, None),
            ("/ends-with-a-dot.", None, DEFAULT_BYTES, None),
        ] {
            let expected = SamplePath {
                fault,
                bytes,
                extension: extension.map(str::to_owned),
            };
            assert_eq!(SamplePath::parse(path), expected, "{path}");
        }
    }

    #[test]
    fn decoding_drops_the_query_and_unescapes() {
        assert_eq!(decode_path("/a%20b/%C3%BC.pdf?X-Amz-Signature=%2F"), "/a b/ü.pdf");
    }
}

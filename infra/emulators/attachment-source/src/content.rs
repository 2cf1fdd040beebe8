//! The bytes of a sample file: real, unique to its path, of exactly the size asked for, and never held whole.
//!
//! A format writes the little that differs from path to path and leaves the rest to `fill`, whose blocks carry the
//! path's hash and their own number: two files mixed up, or two blocks of one, show in the SHA-256.

mod fill;
mod gif;
mod identity;
mod jpeg;
mod movie;
mod office;
mod pdf;
mod picture;
mod png;
mod stored_zip;
mod text;

use bytes::{Bytes, BytesMut};
use sha2::{Digest, Sha256};

use crate::sample_path::SamplePath;
use fill::Fill;
use identity::Identity;
pub(crate) use identity::path_hash;

/// A file as the server serves it.
#[derive(Debug, Clone)]
pub struct Content {
    /// The `Content-Type` header.
    pub content_type: &'static str,
    pieces: Vec<Piece>,
    bytes: u64,
}

/// A part of a file: written out, or filler that is made when it is read.
#[derive(Debug, Clone)]
enum Piece {
    Bytes(Bytes),
    Fill(Fill),
}

impl From<Vec<u8>> for Piece {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Bytes(bytes.into())
    }
}

/// The file that the server serves at `path` (percent-decoded, see [`decode_path`](crate::decode_path)) when nothing
/// goes wrong. The same path gives the same bytes on every machine.
///
/// A fault's path has content of its own, by its own text: `/slow/9000/a/b.pdf` is another file than `/ok/9000/a/b.pdf`.
/// Whoever follows a `redirect` arrives at the one under `ok`.
#[must_use]
pub fn content_for(path: &str) -> Content {
    let sample = SamplePath::parse(path);
    let identity = Identity::of(path);
    let (content_type, pieces) = match sample.extension.as_deref().unwrap_or_default() {
        "pdf" => ("application/pdf", pdf::pieces(&identity, sample.bytes)),
        "jpg" | "jpeg" => ("image/jpeg", jpeg::pieces(&identity, sample.bytes)),
        "png" => ("image/png", png::pieces(&identity, sample.bytes)),
        "gif" => ("image/gif", gif::pieces(&identity, sample.bytes)),
        "mov" => (
            "video/quicktime",
            movie::pieces(movie::Kind::QuickTime, &identity, sample.bytes),
        ),
        "mp4" => ("video/mp4", movie::pieces(movie::Kind::Mp4, &identity, sample.bytes)),
        "docx" => (office::DOCX_TYPE, office::docx(&identity, sample.bytes)),
        "xlsx" => (office::XLSX_TYPE, office::xlsx(&identity, sample.bytes)),
        "csv" => ("text/csv", text::csv(&identity, sample.bytes)),
        "json" => ("application/json", text::json(&identity, sample.bytes)),
        "xml" => ("application/xml", text::xml(&identity, sample.bytes)),
        "html" | "htm" => ("text/html", text::html(&identity, sample.bytes)),
        "txt" => ("text/plain", text::plain(&identity, sample.bytes)),
        _ => ("application/octet-stream", text::plain(&identity, sample.bytes)),
    };
    let bytes = pieces.iter().map(Piece::len).sum();
    Content {
        content_type,
        pieces,
        bytes,
    }
}

impl Piece {
    fn len(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Fill(fill) => fill.len(),
        }
    }
}

impl Content {
    /// The size in bytes.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.bytes
    }

    /// Whether there is nothing in it; no format is that small.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// The file, chunk by chunk (at most 64 KiB of filler each), none of them made before it is asked for.
    pub fn into_chunks(self) -> impl Iterator<Item = Bytes> + Send + 'static {
        self.pieces.into_iter().flat_map(|piece| {
            let (bytes, fill) = match piece {
                Piece::Bytes(bytes) => (Some(bytes), None),
                Piece::Fill(fill) => (None, Some(fill)),
            };
            bytes.into_iter().chain(fill.into_iter().flat_map(Fill::into_chunks))
        })
    }

    /// The file in one buffer, for small ones.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        let mut whole = BytesMut::with_capacity(usize::try_from(self.bytes).unwrap_or_default());
        for chunk in self.clone().into_chunks() {
            whole.extend_from_slice(&chunk);
        }
        whole.freeze()
    }

    /// The SHA-256 of the file in lower-case hexadecimal digits, as the pipeline records it.
    #[must_use]
    pub fn sha256(&self) -> String {
        let mut hash = Sha256::new();
        for chunk in self.clone().into_chunks() {
            hash.update(&chunk);
        }
        hex::encode(hash.finalize())
    }
}

/// How many bytes a file lacks to be `wanted` bytes long when its least is `least`.
fn lacking(wanted: u64, least: usize) -> u64 {
    wanted.saturating_sub(least as u64)
}

//! The bytes of a sample file: of the type that its extension says, of the requested size, and different for each path.
//!
//! A format is the smallest file of its type, with a place for the text of the path and a place for filler. Filler carries
//! the hash of the path and numbers its blocks, so that two files mixed up, or two blocks of one, change the SHA-256. It is
//! made when it is read: a file of any size takes little memory.

mod filler;
mod identity;
mod office;
mod pdf;
mod pictures;
mod text;

use std::iter;

use bytes::{Bytes, BytesMut};
use sha2::{Digest, Sha256};

use crate::sample_path::SamplePath;
use identity::Identity;
pub(crate) use identity::path_hash;
use office::archive;
use pictures::{film, picture};

/// Returns the bytes before and after `filler` bytes, for the text of a path. The lengths do not depend on `filler`.
type Format = fn(text: &str, filler: u64) -> [Vec<u8>; 2];

/// A file as the server serves it.
#[derive(Debug, Clone)]
pub struct SampleFile {
    /// The `Content-Type` header.
    pub content_type: &'static str,
    path_hash: u64,
    head: Bytes,
    filler: u64,
    tail: Bytes,
}

/// Returns the file that the server serves at `path` (percent-decoded, see [`decode_path`](crate::decode_path)) without a
/// fault. The same path has the same bytes on every machine.
///
/// The path of a fault has a file of its own: `/slow/9000/a/b.pdf` is another one than `/ok/9000/a/b.pdf`. A client that
/// follows a `redirect` gets the one under `ok`.
#[must_use]
pub fn content_for(path: &str) -> SampleFile {
    let sample = SamplePath::parse(path);
    let Identity { hash, text } = Identity::of(path);
    let (content_type, format) = format_of(sample.extension.as_deref().unwrap_or_default());
    let least: usize = format(&text, 0).iter().map(Vec::len).sum();
    let filler = sample.bytes.saturating_sub(least as u64);
    let [head, tail] = format(&text, filler).map(Bytes::from);
    SampleFile {
        content_type,
        path_hash: hash,
        head,
        filler,
        tail,
    }
}

fn format_of(extension: &str) -> (&'static str, Format) {
    match extension {
        "pdf" => ("application/pdf", pdf::pdf),
        "jpg" | "jpeg" => ("image/jpeg", |text, _| picture(pictures::JPEG, text)),
        "png" => ("image/png", |text, _| picture(pictures::PNG, text)),
        "gif" => ("image/gif", |text, _| picture(pictures::GIF, text)),
        "mov" => ("video/quicktime", |text, filler| {
            film(pictures::QUICKTIME, text, filler)
        }),
        "mp4" => ("video/mp4", |text, filler| film(pictures::MP4, text, filler)),
        "docx" => (
            "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
            |text, filler| archive(office::DOCX, text, filler),
        ),
        "xlsx" => (
            "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
            |text, filler| archive(office::XLSX, text, filler),
        ),
        "csv" => ("text/csv", text::csv),
        "json" => ("application/json", text::json),
        "xml" => ("application/xml", text::xml),
        "html" | "htm" => ("text/html", text::html),
        "txt" => ("text/plain", text::plain),
        _ => ("application/octet-stream", text::plain),
    }
}

impl SampleFile {
    /// Returns the size in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        (self.head.len() + self.tail.len()) as u64 + self.filler
    }

    /// Returns the file in chunks, none of them empty; filler is made when its chunk is read, at most 64 KiB each.
    pub fn into_chunks(self) -> impl Iterator<Item = Bytes> + Send + 'static {
        iter::once(self.head)
            .chain(filler::chunks(self.path_hash, self.filler))
            .chain(iter::once(self.tail))
            .filter(|chunk| !chunk.is_empty())
    }

    /// Returns the file in one buffer, for small ones.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        let mut whole = BytesMut::with_capacity(usize::try_from(self.size()).unwrap_or_default());
        for chunk in self.clone().into_chunks() {
            whole.extend_from_slice(&chunk);
        }
        whole.freeze()
    }

    /// Returns the SHA-256 of the file in lower-case hexadecimal digits, as the pipeline records it.
    #[must_use]
    pub fn sha256(&self) -> String {
        let chunks = self.clone().into_chunks();
        hex::encode(chunks.fold(Sha256::new(), Sha256::chain_update).finalize())
    }
}

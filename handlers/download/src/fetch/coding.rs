//! `Content-Encoding`: which codings a body was stored with, and how it is decoded while it streams.
//!
//! No coding is requested; those that come were set by the uploader of the object. Decoding works in pieces of bounded
//! size, so that a body of any length and ratio takes the same memory.

mod aws_chunked;
mod decoder;
mod deflate;
mod gzip;
#[cfg(test)]
pub(super) mod tests;

use bytes::Bytes;
use reqwest::header::{CONTENT_ENCODING, HeaderMap};

use aws_chunked::AwsChunked;
use decoder::Decoder;
use deflate::Deflate;
use gzip::Gzip;

pub(super) use decoder::CodingError;

/// Most codings of one body that transform it.
const MAX_CODINGS: usize = 3;

/// A supported coding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Coding {
    Gzip,
    Deflate,
    AwsChunked,
}

/// Values of `Content-Encoding` that do not transform the body, but that uploaders set: an empty value, MIME encodings, and
/// names of character sets (see [`is_charset`]). `base64` comes from widely copied examples of the S3 client, on bytes that are
/// not base64; the content rules decide, as for every body.
const NO_CODINGS: [&str; 8] = ["", "identity", "none", "binary", "7bit", "8bit", "base64", "unicode"];

fn is_charset(name: &str) -> bool {
    [
        "utf",
        "iso-8859-",
        "iso8859-",
        "windows-",
        "cp125",
        "us-ascii",
        "ascii",
        "latin",
    ]
    .iter()
    .any(|prefix| name.starts_with(prefix))
}

struct Stage {
    decoder: Box<dyn Decoder>,
    input: Bytes,
    finished: bool,
}

/// The decoders of one body, in the order in which they are applied.
pub(super) struct Decoding {
    received: Option<Bytes>,
    stages: Vec<Stage>,
    ended: bool,
}

impl Decoding {
    /// Returns the decoders that the response's headers require.
    ///
    /// # Errors
    /// When a coding is not supported, with the text of the failure.
    pub(super) fn of(headers: &HeaderMap) -> Result<Self, String> {
        let stages = codings(headers)?
            .into_iter()
            .map(|coding| Stage {
                decoder: match coding {
                    Coding::Gzip => Box::new(Gzip::default()),
                    Coding::Deflate => Box::new(Deflate::default()),
                    Coding::AwsChunked => Box::new(AwsChunked::default()),
                },
                input: Bytes::new(),
                finished: false,
            })
            .collect();
        Ok(Self {
            received: None,
            stages,
            ended: false,
        })
    }

    /// Adds received bytes; [`Self::next`] must have returned `None` before.
    pub(super) fn push(&mut self, received: Bytes) {
        self.received = Some(received);
    }

    /// Marks the end of the received bytes.
    pub(super) fn end(&mut self) {
        self.ended = true;
    }

    /// Returns the next decoded piece; `None` when more input is needed, or at the end.
    pub(super) fn next(&mut self) -> Result<Option<Bytes>, CodingError> {
        self.pull(self.stages.len())
    }

    /// Returns the next piece of output of the first `stages` stages.
    fn pull(&mut self, stages: usize) -> Result<Option<Bytes>, CodingError> {
        let Some(index) = stages.checked_sub(1) else {
            return Ok(self.received.take());
        };
        loop {
            let stage = &mut self.stages[index];
            while !stage.input.is_empty() {
                let piece = stage.decoder.step(&mut stage.input)?;
                if !piece.is_empty() {
                    return Ok(Some(piece));
                }
            }
            match self.pull(index)? {
                Some(input) => self.stages[index].input = input,
                None => {
                    let stage = &mut self.stages[index];
                    if !self.ended || stage.finished {
                        return Ok(None);
                    }
                    stage.finished = true;
                    let rest = stage.decoder.finish()?;
                    return Ok(Some(rest).filter(|rest| !rest.is_empty()));
                }
            }
        }
    }
}

/// Returns the codings of a response in the order of decoding.
///
/// The header lists them in the order in which they were applied (RFC 9110, section 8.4), with one exception: S3 lists
/// `aws-chunked` first, although it frames everything else.
fn codings(headers: &HeaderMap) -> Result<Vec<Coding>, String> {
    let mut codings = Vec::new();
    for value in headers.get_all(CONTENT_ENCODING) {
        let refused = |why: &str| {
            let value: String = String::from_utf8_lossy(value.as_bytes()).chars().take(100).collect();
            format!("the server sent the file with content-encoding {value:?}, {why}")
        };
        let text = value
            .to_str()
            .map_err(|_| refused("which is not text; the source must store the file without it"))?;
        for name in text.split(',') {
            let name = name.trim().trim_matches(['"', '\'', ';']).to_ascii_lowercase();
            codings.push(match name.as_str() {
                "gzip" | "x-gzip" => Coding::Gzip,
                "deflate" => Coding::Deflate,
                "aws-chunked" => Coding::AwsChunked,
                name if NO_CODINGS.contains(&name) || is_charset(name) => continue,
                _ => {
                    return Err(refused(
                        "which is not supported (only gzip and deflate are); the source must store the file without it",
                    ));
                }
            });
        }
        if codings.len() > MAX_CODINGS {
            return Err(refused("which has too many codings"));
        }
    }
    codings.reverse();
    // A stable sort keeps the order of the others.
    codings.sort_by_key(|coding| *coding != Coding::AwsChunked);
    codings.dedup_by(|a, b| (*a, *b) == (Coding::AwsChunked, Coding::AwsChunked));
    Ok(codings)
}

//! `Content-Encoding`: which codings a body was stored with, and how they are undone while it streams.
//!
//! None is ever asked for; what comes is what an uploader left at the object. A coding is undone in pieces of bounded size, so
//! that a body of any length and of any ratio takes the same memory.

mod aws_chunked;
mod deflate;
mod gzip;
#[cfg(test)]
pub(super) mod tests;

use std::io;

use bytes::Bytes;
use reqwest::header::{CONTENT_ENCODING, HeaderMap};

use aws_chunked::AwsChunked;
use deflate::Deflate;
use gzip::Gzip;

/// Codings of one body that transform it; a longer list is not an honest answer.
const MAX_CODINGS: usize = 3;

/// A coding that transforms a body, and is undone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Coding {
    Gzip,
    Deflate,
    AwsChunked,
}

/// Values of `Content-Encoding` that transform nothing, and that uploaders set nevertheless: nothing at all, the encodings of
/// MIME, and names of character sets (see [`is_charset`]). `base64` is what widely copied examples of the S3 client set on
/// bytes that are not base64; the content decides, as for every body that is stored as it comes.
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

/// Why a body is not what its codings say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum CodingError {
    /// Its end is missing.
    #[error("the body ends within its {0} coding")]
    Truncated(&'static str),
    /// It is not such a coding, or a check sum is wrong.
    #[error("the body is not what its content-encoding says: the {0} data is corrupt")]
    Corrupt(&'static str),
}

/// One coding, undone piece by piece.
trait Layer: Send {
    /// Takes bytes off the front of `input`, which is not empty, and returns what they came to: at most about 64 KiB, perhaps
    /// nothing. Each call takes or returns something.
    fn step(&mut self, input: &mut Bytes) -> Result<Bytes, CodingError>;

    /// The rest, once all input was read.
    fn finish(&mut self) -> Result<Bytes, CodingError>;
}

struct Stage {
    layer: Box<dyn Layer>,
    input: Bytes,
    finished: bool,
}

/// The codings of one body, in the order in which they are undone.
pub(super) struct Decoding {
    received: Option<Bytes>,
    stages: Vec<Stage>,
    ended: bool,
}

impl Decoding {
    /// What the answer's headers ask for.
    ///
    /// # Errors
    /// The text of a coding that is not undone, for the reason of the failure.
    pub(super) fn of(headers: &HeaderMap) -> Result<Self, String> {
        let stages = codings(headers)?
            .into_iter()
            .map(|coding| Stage {
                layer: match coding {
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

    /// Takes what was received; [`Self::next`] must have returned `None` before.
    pub(super) fn push(&mut self, received: Bytes) {
        self.received = Some(received);
    }

    /// Says that nothing more will be received.
    pub(super) fn end(&mut self) {
        self.ended = true;
    }

    /// The next piece of the file; `None` when more must be received for it, or at the end.
    pub(super) fn next(&mut self) -> Result<Option<Bytes>, CodingError> {
        self.pull(self.stages.len())
    }

    /// The next piece that comes out of the first `stages` stages.
    fn pull(&mut self, stages: usize) -> Result<Option<Bytes>, CodingError> {
        let Some(index) = stages.checked_sub(1) else {
            return Ok(self.received.take());
        };
        loop {
            let stage = &mut self.stages[index];
            while !stage.input.is_empty() {
                let piece = stage.layer.step(&mut stage.input)?;
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
                    let rest = stage.layer.finish()?;
                    return Ok(Some(rest).filter(|rest| !rest.is_empty()));
                }
            }
        }
    }
}

/// The codings of an answer, in the order in which they are undone.
///
/// They are listed in the order in which they were applied (RFC 9110, section 8.4), with one exception: S3 lists `aws-chunked`
/// first, though it frames everything else.
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
                        "which is not undone (only gzip and deflate are); the source must store the file without it",
                    ));
                }
            });
        }
        if codings.len() > MAX_CODINGS {
            return Err(refused("which are too many codings"));
        }
    }
    codings.reverse();
    // Stable: the others keep their order.
    codings.sort_by_key(|coding| *coding != Coding::AwsChunked);
    codings.dedup_by(|a, b| (*a, *b) == (Coding::AwsChunked, Coding::AwsChunked));
    Ok(codings)
}

/// An error of the decompressor.
fn corrupt(coding: &'static str) -> impl Fn(io::Error) -> CodingError {
    move |error| match error.kind() {
        io::ErrorKind::UnexpectedEof => CodingError::Truncated(coding),
        _ => CodingError::Corrupt(coding),
    }
}

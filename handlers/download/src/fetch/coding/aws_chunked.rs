//! `aws-chunked`: the frames in which S3's clients upload. S3 removes them; compatible stores may keep the name of the coding at
//! the object, and some the frames themselves.

use bytes::{Buf, Bytes, BytesMut};

use super::decoder::{CodingError, Decoder};

const NAME: &str = "aws-chunked";
/// Longest line of a frame. The size, `;chunk-signature=` and 64 digits are 97 bytes; other extensions may follow.
const MAX_LINE_BYTES: usize = 512;
const SIGNATURE: &[u8] = b";chunk-signature=";

/// Removes the frames of a body that has them; any other body passes unchanged.
///
/// A frame is the size in hexadecimal, an optional signature, CR LF, the bytes, CR LF. The last frame is empty and is followed by
/// trailers. A body counts as framed when its first line has this form, and must then be framed to its end: the content
/// rules check the first kilobyte only, so later frames would be stored as part of the document.
#[derive(Default)]
pub(super) struct AwsChunked {
    state: State,
    line: BytesMut,
}

#[derive(Default, Clone, Copy)]
enum State {
    /// Collecting the first line until it can be classified.
    #[default]
    First,
    Plain,
    Size,
    Data(u64),
    /// The CR LF after the bytes of a frame, with the number of its bytes that are still expected.
    DataEnd(u8),
    Trailers,
}

/// The classification of a first line, as far as it was received.
enum FirstLine {
    Undecided,
    Framed,
    Plain,
}

fn first_line(head: &[u8]) -> FirstLine {
    let digits = head.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    if !(1..=16).contains(&digits) {
        return if head.is_empty() {
            FirstLine::Undecided
        } else {
            FirstLine::Plain
        };
    }
    let rest = &head[digits..];
    let is_prefix = |of: &[u8]| of.starts_with(&rest[..rest.len().min(of.len())]);
    match rest.len() {
        _ if !is_prefix(SIGNATURE) && !is_prefix(b"\r\n") => FirstLine::Plain,
        length if length >= SIGNATURE.len() || (length >= 2 && is_prefix(b"\r\n")) => FirstLine::Framed,
        _ => FirstLine::Undecided,
    }
}

impl Decoder for AwsChunked {
    fn step(&mut self, input: &mut Bytes) -> Result<Bytes, CodingError> {
        match self.state {
            State::First => {
                // These are enough to classify it, and fewer than the longest line has.
                let wanted = (16 + SIGNATURE.len() - self.line.len()).min(input.len());
                self.line.extend_from_slice(&input.split_to(wanted));
                self.state = match first_line(&self.line) {
                    FirstLine::Undecided => return Ok(Bytes::new()),
                    FirstLine::Plain => {
                        self.state = State::Plain;
                        return Ok(self.line.split().freeze());
                    }
                    FirstLine::Framed => State::Size,
                };
                // These bytes are read again as a line.
                let mut rejoined = self.line.split();
                rejoined.extend_from_slice(input);
                *input = rejoined.freeze();
                Ok(Bytes::new())
            }
            State::Plain => Ok(std::mem::take(input)),
            State::Size => {
                if let Some(line) = self.read_line(input)? {
                    self.state = match size_of(&line)? {
                        0 => State::Trailers,
                        size => State::Data(size),
                    };
                }
                Ok(Bytes::new())
            }
            State::Data(left) => {
                let length = usize::try_from(left).unwrap_or(usize::MAX).min(input.len());
                let left = left - length as u64;
                self.state = match left {
                    0 => State::DataEnd(2),
                    left => State::Data(left),
                };
                Ok(input.split_to(length))
            }
            State::DataEnd(left) => {
                let expected = if left == 2 { b'\r' } else { b'\n' };
                if input.get_u8() != expected {
                    return Err(CodingError::Corrupt(NAME));
                }
                self.state = match left {
                    2 => State::DataEnd(1),
                    _ => State::Size,
                };
                Ok(Bytes::new())
            }
            State::Trailers => {
                input.clear();
                Ok(Bytes::new())
            }
        }
    }

    fn finish(&mut self) -> Result<Bytes, CodingError> {
        match self.state {
            State::First => Ok(self.line.split().freeze()),
            State::Plain | State::Trailers => Ok(Bytes::new()),
            State::Size | State::Data(_) | State::DataEnd(_) => Err(CodingError::Truncated(NAME)),
        }
    }
}

impl AwsChunked {
    /// Returns the next line without its LF.
    fn read_line(&mut self, input: &mut Bytes) -> Result<Option<BytesMut>, CodingError> {
        let end = input.iter().position(|byte| *byte == b'\n');
        let length = end.map_or(input.len(), |end| end + 1);
        if self.line.len() + length > MAX_LINE_BYTES {
            return Err(CodingError::Corrupt(NAME));
        }
        self.line.extend_from_slice(&input.split_to(length));
        Ok(end.map(|_| {
            let mut line = self.line.split();
            line.truncate(line.len() - 1);
            line
        }))
    }
}

/// Parses the first line of a frame: `1000;chunk-signature=…\r` is 4096.
fn size_of(line: &[u8]) -> Result<u64, CodingError> {
    let line = line.strip_suffix(b"\r").ok_or(CodingError::Corrupt(NAME))?;
    let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    let is_size = (1..=16).contains(&digits) && matches!(line.get(digits), None | Some(b';'));
    let text = std::str::from_utf8(&line[..digits]).ok().filter(|_| is_size);
    text.and_then(|text| u64::from_str_radix(text, 16).ok())
        .ok_or(CodingError::Corrupt(NAME))
}

//! `deflate`: the zlib format (RFC 1950) according to the standard, raw deflate data (RFC 1951) according to many servers.

use std::io::{self, Write};

use bytes::{Buf, Bytes, BytesMut};
use flate2::write::{DeflateDecoder, ZlibDecoder};

use super::decoder::{CodingError, Decoder, corrupt};

const NAME: &str = "deflate";

/// Decodes deflate in the format that its first two bytes indicate. Bytes after its end are dropped.
pub(super) struct Deflate(State);

enum State {
    Before(BytesMut),
    Zlib(Box<ZlibDecoder<Vec<u8>>>),
    Raw(Box<DeflateDecoder<Vec<u8>>>),
    Done,
}

impl Default for Deflate {
    fn default() -> Self {
        Self(State::Before(BytesMut::new()))
    }
}

impl State {
    fn write(&mut self, input: &[u8]) -> io::Result<usize> {
        match self {
            Self::Zlib(decoder) => decoder.write(input),
            Self::Raw(decoder) => decoder.write(input),
            Self::Before(_) | Self::Done => Ok(0),
        }
    }

    fn try_finish(&mut self) -> io::Result<()> {
        match self {
            Self::Zlib(decoder) => decoder.try_finish(),
            Self::Raw(decoder) => decoder.try_finish(),
            Self::Before(_) | Self::Done => Ok(()),
        }
    }

    fn output(&mut self) -> Bytes {
        match self {
            Self::Zlib(decoder) => std::mem::take(decoder.get_mut()).into(),
            Self::Raw(decoder) => std::mem::take(decoder.get_mut()).into(),
            Self::Before(_) | Self::Done => Bytes::new(),
        }
    }
}

/// Checks for a zlib header: method 8, a valid window size, and the checksum of both bytes.
fn is_zlib(first: u8, second: u8) -> bool {
    first & 0x0F == 8 && first >> 4 <= 7 && u16::from_be_bytes([first, second]).is_multiple_of(31)
}

impl Decoder for Deflate {
    fn step(&mut self, input: &mut Bytes) -> Result<Bytes, CodingError> {
        match &mut self.0 {
            State::Before(head) => {
                let wanted = (2 - head.len()).min(input.len());
                head.extend_from_slice(&input.split_to(wanted));
                if head.len() < 2 {
                    return Ok(Bytes::new());
                }
                // They are decoded together with the bytes that follow.
                let mut rejoined = head.split();
                rejoined.extend_from_slice(input);
                self.0 = if is_zlib(rejoined[0], rejoined[1]) {
                    State::Zlib(Box::new(ZlibDecoder::new(Vec::new())))
                } else {
                    State::Raw(Box::new(DeflateDecoder::new(Vec::new())))
                };
                *input = rejoined.freeze();
                Ok(Bytes::new())
            }
            State::Done => {
                input.clear();
                Ok(Bytes::new())
            }
            decoder => {
                // One call returns at most its buffer of 32 KiB, whatever the input decodes to.
                let read = decoder.write(input).map_err(corrupt(NAME))?;
                input.advance(read);
                if read == 0 {
                    decoder.try_finish().map_err(corrupt(NAME))?;
                    let rest = decoder.output();
                    self.0 = State::Done;
                    return Ok(rest);
                }
                Ok(decoder.output())
            }
        }
    }

    fn finish(&mut self) -> Result<Bytes, CodingError> {
        if let State::Before(head) = &self.0 {
            // An empty body is an empty file; one byte is not deflate data.
            return if head.is_empty() {
                Ok(Bytes::new())
            } else {
                Err(CodingError::Truncated(NAME))
            };
        }
        self.0.try_finish().map_err(corrupt(NAME))?;
        Ok(self.0.output())
    }
}

//! `gzip` (RFC 1952), with one or more members.

use std::io::Write;

use bytes::{Buf, Bytes, BytesMut};
use flate2::write::GzDecoder;

use super::decoder::{CodingError, Decoder, corrupt};

const NAME: &str = "gzip";
const MAGIC: [u8; 2] = [0x1F, 0x8B];

/// Decodes gzip.
///
/// A body that does not start with the magic bytes of gzip was declared wrongly by the uploader, or was decoded on the way: it
/// passes unchanged. No accepted file type starts with them, and the content is judged in either case.
#[derive(Default)]
pub(super) struct Gzip {
    state: State,
    /// Whether a member was read. Bytes after the last member are dropped, as the gzip program does.
    is_gzip: bool,
}

enum State {
    /// Collecting the first bytes of a member.
    Before(BytesMut),
    Member(Box<GzDecoder<Vec<u8>>>),
    Plain,
    /// After the last member.
    Padding,
}

impl Default for State {
    fn default() -> Self {
        Self::Before(BytesMut::new())
    }
}

impl Decoder for Gzip {
    fn step(&mut self, input: &mut Bytes) -> Result<Bytes, CodingError> {
        match &mut self.state {
            State::Before(head) => {
                let wanted = (MAGIC.len() - head.len()).min(input.len());
                head.extend_from_slice(&input.split_to(wanted));
                if head.len() < MAGIC.len() {
                    return Ok(Bytes::new());
                }
                let head = head.split().freeze();
                if head[..] != MAGIC {
                    return Ok(self.not_gzip(head));
                }
                let mut member = Box::new(GzDecoder::new(Vec::new()));
                member.write_all(&head).map_err(corrupt(NAME))?;
                self.is_gzip = true;
                self.state = State::Member(member);
                Ok(Bytes::new())
            }
            State::Member(member) => {
                // One call returns at most its buffer of 32 KiB, whatever the input decodes to.
                let read = member.write(input).map_err(corrupt(NAME))?;
                input.advance(read);
                if read > 0 {
                    return Ok(std::mem::take(member.get_mut()).into());
                }
                // The member is complete; the input is what follows it.
                member.try_finish().map_err(corrupt(NAME))?;
                let rest = std::mem::take(member.get_mut());
                self.state = State::default();
                Ok(rest.into())
            }
            State::Plain => Ok(std::mem::take(input)),
            State::Padding => {
                input.clear();
                Ok(Bytes::new())
            }
        }
    }

    fn finish(&mut self) -> Result<Bytes, CodingError> {
        match &mut self.state {
            State::Before(head) => {
                let head = head.split().freeze();
                Ok(self.not_gzip(head))
            }
            State::Member(member) => {
                member.try_finish().map_err(|error| {
                    // The decoder reports a truncated trailer as a wrong one. An incomplete member still accepts a byte.
                    let is_cut = member.write(&[0]).is_ok_and(|taken| taken > 0);
                    if is_cut {
                        CodingError::Truncated(NAME)
                    } else {
                        corrupt(NAME)(error)
                    }
                })?;
                Ok(std::mem::take(member.get_mut()).into())
            }
            State::Plain | State::Padding => Ok(Bytes::new()),
        }
    }
}

impl Gzip {
    fn not_gzip(&mut self, head: Bytes) -> Bytes {
        if self.is_gzip {
            self.state = State::Padding;
            return Bytes::new();
        }
        self.state = State::Plain;
        head
    }
}

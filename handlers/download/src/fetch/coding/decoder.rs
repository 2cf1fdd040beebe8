//! What the decoders of all codings have in common.

use std::io;

use bytes::Bytes;

/// Why a body cannot be decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(in crate::fetch) enum CodingError {
    /// The end is missing.
    #[error("the body ends within its {0} coding")]
    Truncated(&'static str),
    /// The data is not in this format, or a checksum is wrong.
    #[error("the body does not match its content-encoding: the {0} data is corrupt")]
    Corrupt(&'static str),
}

/// Decodes one coding piece by piece.
pub(super) trait Decoder: Send {
    /// Takes bytes from the front of `input`, which is not empty, and returns what they decode to: at most about 64 KiB,
    /// possibly nothing. Each call takes or returns something.
    fn step(&mut self, input: &mut Bytes) -> Result<Bytes, CodingError>;

    /// Returns the rest after all input was read.
    fn finish(&mut self) -> Result<Bytes, CodingError>;
}

/// Returns the conversion of a decompressor's errors.
pub(super) fn corrupt(coding: &'static str) -> impl Fn(io::Error) -> CodingError {
    move |error| match error.kind() {
        io::ErrorKind::UnexpectedEof => CodingError::Truncated(coding),
        _ => CodingError::Corrupt(coding),
    }
}

//! A body on its way into the cache: decoded, and checked for its first bytes, its length and its rate.

use std::time::Instant;

use bytes::Bytes;
use reqwest::Response;

use super::coding::{CodingError, Decoding};
use super::error::{FetchError, problem_of_200};
use super::timeouts::Timeouts;
use super::transport::body_problem;
use xact_cache::Part;
use xact_contracts::category::Category;
use xact_contracts::file_rules::{self, CONTENT_HEAD_BYTES, FileType, Judged};
use xact_contracts::messages::Problem;

/// Most decoded bytes for each received byte, beyond [`RATIO_FREE_BYTES`]. Text and tables reach 20 to 50; the maximum of
/// deflate, more than 1,000, comes from repeated bytes.
const MAX_DECODED_RATIO: u64 = 200;

/// Size up to which the ratio is not checked: a blank picture or an empty table compresses well.
pub(super) const RATIO_FREE_BYTES: u64 = 8 * 1024 * 1024;

/// A body on its way into the cache.
pub(super) struct Body {
    pub(super) response: Response,
    pub(super) decoding: Decoding,
    pub(super) part: Part,
    /// The first bytes, until they are judged.
    pub(super) head: Vec<u8>,
    /// The judgement of the first bytes, once there are enough of them.
    pub(super) judged: Option<Judged>,
    /// The file type that the URL or the response names.
    pub(super) named: Option<FileType>,
    /// The response's `Content-Type`.
    pub(super) declared: Option<String>,
    /// The announced and the received bytes, before decoding.
    pub(super) announced: Option<u64>,
    pub(super) received: u64,
    pub(super) max_file_bytes: u64,
    pub(super) timeouts: Timeouts,
    pub(super) started: Instant,
}

impl Body {
    /// Receives the whole body and returns the judgement of its content.
    pub(super) async fn receive(&mut self) -> Result<Judged, FetchError> {
        while let Some(received) = self.response.chunk().await.map_err(|error| body_problem(&error))? {
            self.received += received.len() as u64;
            self.decoding.push(received);
            self.write_decoded().await?;
        }
        self.check_length()?;
        self.decoding.end();
        self.write_decoded().await?;
        let judged = self.judged.take();
        judged.map_or_else(|| self.judge(), Ok)
    }

    async fn write_decoded(&mut self) -> Result<(), FetchError> {
        while let Some(piece) = self.decoding.next().map_err(|error| decode_problem(&error))? {
            self.write(&piece).await?;
        }
        self.check_limits()
    }

    async fn write(&mut self, piece: &Bytes) -> Result<(), FetchError> {
        if self.judged.is_none() {
            let wanted = CONTENT_HEAD_BYTES.saturating_sub(self.head.len()).min(piece.len());
            self.head.extend_from_slice(&piece[..wanted]);
            if self.head.len() >= CONTENT_HEAD_BYTES {
                self.judged = Some(self.judge()?);
            }
        }
        self.part.write(piece).await?;
        self.check_limits()
    }

    /// Judges the first bytes and drops them.
    fn judge(&mut self) -> Result<Judged, FetchError> {
        let head = std::mem::take(&mut self.head);
        file_rules::judge(self.named, self.declared.as_deref(), &head)
            .map_err(|error| problem_of_200(Category::Permanent, error.to_string()).into())
    }

    /// hyper reports most short bodies itself; this check covers the rest.
    fn check_length(&self) -> Result<(), FetchError> {
        let received = self.received;
        let Some(announced) = self.announced.filter(|&announced| announced != received) else {
            return Ok(());
        };
        let text = format!("the body has {received} bytes, {announced} were announced");
        Err(problem_of_200(Category::Transient, text).into())
    }

    fn check_limits(&self) -> Result<(), FetchError> {
        let permanent = |text: String| Err(problem_of_200(Category::Permanent, text).into());
        let (bytes, received) = (self.part.bytes(), self.received);
        // Bytes that are dropped after the end of a coding count too.
        if bytes.max(received) > self.max_file_bytes {
            return permanent(too_large(bytes.max(received), self.max_file_bytes));
        }
        if bytes > RATIO_FREE_BYTES && bytes / received.max(1) > MAX_DECODED_RATIO {
            return permanent(format!(
                "{received} bytes decompressed to {bytes} bytes, more than {MAX_DECODED_RATIO} times as many; the source must store \
                 the file without content-encoding"
            ));
        }
        if self.started.elapsed() > self.timeouts.of_body(received) {
            let text = format!("too slow: {received} bytes in {} s", self.started.elapsed().as_secs());
            return Err(problem_of_200(Category::Transient, text).into());
        }
        Ok(())
    }
}

/// Truncated data may be complete at the next attempt. Corrupt data arrived complete (by its length and TLS), so it is corrupt
/// at the source.
fn decode_problem(error: &CodingError) -> Problem {
    let category = match error {
        CodingError::Truncated(_) => Category::Transient,
        CodingError::Corrupt(_) => Category::Permanent,
    };
    problem_of_200(category, error.to_string())
}

pub(super) fn too_large(bytes: u64, limit: u64) -> String {
    format!("the file has {bytes} bytes or more, MAX_FILE_BYTES allows {limit}")
}

//! A body on its way into the cache: its codings undone, and judged by its first bytes, its length and its pace.

use std::time::Instant;

use bytes::Bytes;
use reqwest::Response;

use super::coding::{CodingError, Decoding};
use super::{FetchError, TimeLimits, body_problem};
use xact_cache::Part;
use xact_contracts::category::Category;
use xact_contracts::file_rules::{self, CONTENT_HEAD_BYTES, FileType, Judged};
use xact_contracts::messages::Problem;

/// Bytes that a file may have for each byte received, once it has more than [`UNJUDGED_RATIO_BYTES`]. Text and tables come to 20
/// or 50; the most that deflate can say in a byte, more than 1,000, comes of bytes that repeat one another.
const MAX_DECODED_RATIO: u64 = 200;

/// Bytes up to which the ratio is not judged: an empty picture or table is small however it is stored.
pub(super) const UNJUDGED_RATIO_BYTES: u64 = 8 * 1024 * 1024;

/// A body on its way into the cache.
pub(super) struct Body {
    pub(super) response: Response,
    pub(super) decoding: Decoding,
    pub(super) part: Part,
    /// First bytes, until they are judged.
    pub(super) head: Vec<u8>,
    /// What the first bytes were found to be, once there are enough of them.
    pub(super) judged: Option<Judged>,
    /// What the URL or the answer names the file; `None` if neither does.
    pub(super) named: Option<FileType>,
    /// The answer's `Content-Type`.
    pub(super) declared: Option<String>,
    /// As announced and as received: before the codings are undone.
    pub(super) announced: Option<u64>,
    pub(super) received: u64,
    pub(super) max_file_bytes: u64,
    pub(super) limits: TimeLimits,
    pub(super) started: Instant,
}

impl Body {
    /// Receives the whole body; returns what it is.
    pub(super) async fn receive(&mut self) -> Result<Judged, FetchError> {
        while let Some(received) = self.response.chunk().await.map_err(|error| body_problem(&error))? {
            self.received += received.len() as u64;
            self.decoding.push(received);
            self.write_decoded().await?;
        }
        self.judge_length()?;
        self.decoding.end();
        self.write_decoded().await?;
        match self.judged.take() {
            Some(judged) => Ok(judged),
            None => self.judge(),
        }
    }

    async fn write_decoded(&mut self) -> Result<(), FetchError> {
        while let Some(piece) = self.decoding.next().map_err(|error| coding_problem(&error))? {
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

    /// Judges the first bytes, which are not needed any more then.
    fn judge(&mut self) -> Result<Judged, FetchError> {
        let head = std::mem::take(&mut self.head);
        file_rules::judge(self.named, self.declared.as_deref(), &head).map_err(|refusal| {
            Problem::new(Category::Permanent, refusal.to_string())
                .with_status(200)
                .into()
        })
    }

    /// hyper ends a short body with an error itself; this holds also where it does not.
    fn judge_length(&self) -> Result<(), FetchError> {
        match self.announced {
            Some(announced) if announced != self.received => Err(Problem::new(
                Category::Transient,
                format!("the body has {} bytes, {announced} were announced", self.received),
            )
            .with_status(200)
            .into()),
            _ => Ok(()),
        }
    }

    fn check_limits(&self) -> Result<(), FetchError> {
        let permanent = |text: String| Err(Problem::new(Category::Permanent, text).with_status(200).into());
        let (bytes, received) = (self.part.bytes(), self.received);
        // What is dropped behind the end of a coding counts as well.
        if bytes.max(received) > self.max_file_bytes {
            return permanent(too_large(bytes.max(received), self.max_file_bytes));
        }
        if bytes > UNJUDGED_RATIO_BYTES && bytes / received.max(1) > MAX_DECODED_RATIO {
            return permanent(format!(
                "{received} bytes came to {bytes} bytes when their content-encoding was undone, more than {MAX_DECODED_RATIO} times \
                 as many; the source must store the file without it"
            ));
        }
        if self.started.elapsed() > self.limits.for_bytes(received) {
            return Err(Problem::new(
                Category::Transient,
                format!("too slow: {received} bytes in {} s", self.started.elapsed().as_secs()),
            )
            .with_status(200)
            .into());
        }
        Ok(())
    }
}

/// What is cut short may be whole the next time. What is corrupt came whole, by its length and by TLS, and is so at the source.
fn coding_problem(error: &CodingError) -> Problem {
    let category = match error {
        CodingError::Truncated(_) => Category::Transient,
        CodingError::Corrupt(_) => Category::Permanent,
    };
    Problem::new(category, error.to_string()).with_status(200)
}

pub(super) fn too_large(bytes: u64, limit: u64) -> String {
    format!("the file has {bytes} bytes or more, MAX_FILE_BYTES allows {limit}")
}

//! A body on its way into the cache: judged by its first bytes, its length and its pace.

use super::{FetchError, TimeLimits, body_problem};
use contracts::category::Category;
use contracts::file_rules::{CONTENT_HEAD_BYTES, FileType};
use contracts::messages::Problem;
use reqwest::Response;
use std::time::Instant;
use xact_cache::Part;

/// A body on its way into the cache.
pub(super) struct Body {
    pub(super) response: Response,
    pub(super) part: Part,
    /// First bytes, until they are judged.
    pub(super) head: Vec<u8>,
    pub(super) file_type: FileType,
    pub(super) announced: Option<u64>,
    pub(super) max_file_bytes: u64,
    pub(super) limits: TimeLimits,
    pub(super) started: Instant,
}

impl Body {
    pub(super) async fn receive(&mut self) -> Result<(), FetchError> {
        let mut judged = false;
        while let Some(piece) = self.response.chunk().await.map_err(|error| body_problem(&error))? {
            if !judged {
                let wanted = CONTENT_HEAD_BYTES.saturating_sub(self.head.len()).min(piece.len());
                self.head.extend_from_slice(&piece[..wanted]);
                if self.head.len() >= CONTENT_HEAD_BYTES {
                    self.judge()?;
                    judged = true;
                }
            }
            self.part.write(&piece).await?;
            self.check_limits()?;
        }
        if !judged {
            self.judge_length()?;
            self.judge()?;
        }
        self.judge_length()
    }

    fn judge(&self) -> Result<(), FetchError> {
        self.file_type.check_content(&self.head).map_err(|refusal| {
            Problem::new(Category::Permanent, refusal.to_string())
                .with_status(200)
                .into()
        })
    }

    /// hyper ends a short body with an error itself; this holds also where it does not.
    fn judge_length(&self) -> Result<(), FetchError> {
        match self.announced {
            Some(announced) if announced != self.part.bytes() => Err(Problem::new(
                Category::Transient,
                format!("the body has {} bytes, {announced} were announced", self.part.bytes()),
            )
            .with_status(200)
            .into()),
            _ => Ok(()),
        }
    }

    fn check_limits(&self) -> Result<(), FetchError> {
        let bytes = self.part.bytes();
        if bytes > self.max_file_bytes {
            return Err(Problem::new(Category::Permanent, too_large(bytes, self.max_file_bytes))
                .with_status(200)
                .into());
        }
        if self.started.elapsed() > self.limits.for_bytes(bytes) {
            return Err(Problem::new(
                Category::Transient,
                format!("too slow: {bytes} bytes in {} s", self.started.elapsed().as_secs()),
            )
            .with_status(200)
            .into());
        }
        Ok(())
    }
}

pub(super) fn too_large(bytes: u64, limit: u64) -> String {
    format!("the file has {bytes} bytes or more, MAX_FILE_BYTES allows {limit}")
}

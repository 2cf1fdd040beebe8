//! The body of a request, streamed to a hidden file.

use std::io;
use std::pin::Pin;
use std::sync::Arc;

use axum::body::{Body, BodyDataStream};
use bytes::Bytes;
use futures::StreamExt;
use parking_lot::Mutex;
use tokio::io::{AsyncWriteExt, BufWriter};

use crate::checksums::Checksum;
use crate::errors::{BODY_TOO_LARGE, ErrorResponse, INCOMPLETE_BODY, INVALID_XML};
use crate::storage::{Draft, Storage};

/// Size of a write to the file in bytes.
const WRITE_BYTES: usize = 256 * 1024;
/// Bytes of an unused body that are read, so that the client gets the answer instead of a closed connection.
const MAX_DRAINED_BYTES: u64 = 256 * 1024 * 1024;

/// A body that is being received.
pub(crate) struct Upload {
    /// Never locked: the mutex makes it `Sync`, which a shared reference in a future requires and a body is not.
    stream: Option<Mutex<Pin<Box<BodyDataStream>>>>,
    received_bytes: u64,
}

/// A complete body.
pub(crate) struct Received {
    pub(crate) draft: Draft,
    pub(crate) length: u64,
    pub(crate) md5: [u8; 16],
}

impl Upload {
    pub(crate) fn new(body: Body) -> Self {
        Self {
            stream: Some(Mutex::new(Box::pin(body.into_data_stream()))),
            received_bytes: 0,
        }
    }

    /// Returns the number of bytes received.
    pub(crate) fn received_bytes(&self) -> u64 {
        self.received_bytes
    }

    /// Returns the next chunk; `None` at the end. An incomplete body is an error.
    async fn next(&mut self) -> Result<Option<Bytes>, ErrorResponse> {
        let Some(stream) = &mut self.stream else {
            return Ok(None);
        };
        let next = stream.get_mut().next().await.transpose();
        match &next {
            Ok(Some(bytes)) => self.received_bytes += bytes.len() as u64,
            Ok(None) => self.stream = None,
            Err(error) => {
                self.stream = None;
                tracing::debug!(%error, "OneLake emulator: incomplete request body");
            }
        }
        next.map_err(|_| INCOMPLETE_BODY.into())
    }

    /// Streams it to a hidden file, and verifies the checksum.
    pub(crate) async fn receive(
        &mut self,
        storage: &Arc<Storage>,
        limit: u64,
        checksum: Checksum,
    ) -> Result<Received, ErrorResponse> {
        let maker = Arc::clone(storage);
        let made = tokio::task::spawn_blocking(move || maker.draft()).await;
        let (draft, file) = made.map_err(io::Error::other)??;
        let mut file = tokio::fs::File::from_std(file);
        file.set_max_buf_size(WRITE_BYTES);
        let mut file = BufWriter::with_capacity(WRITE_BYTES, file);
        let mut length = 0;
        let mut hash = checksum.hasher();
        while let Some(bytes) = self.next().await? {
            length += bytes.len() as u64;
            if length > limit {
                return Err(BODY_TOO_LARGE.into());
            }
            hash.update(&bytes);
            file.write_all(&bytes).await?;
        }
        file.flush().await?;
        Ok(Received {
            draft,
            length,
            md5: hash.finish()?,
        })
    }

    /// Returns a small body as text.
    pub(crate) async fn text(&mut self, limit: usize, checksum: Checksum) -> Result<String, ErrorResponse> {
        let mut whole = Vec::new();
        while let Some(bytes) = self.next().await? {
            if whole.len() + bytes.len() > limit {
                return Err(BODY_TOO_LARGE.into());
            }
            whole.extend_from_slice(&bytes);
        }
        let mut hash = checksum.hasher();
        hash.update(&whole);
        hash.finish()?;
        Ok(String::from_utf8(whole).map_err(|_| INVALID_XML)?)
    }

    /// Reads the rest of the body, at most [`MAX_DRAINED_BYTES`].
    pub(crate) async fn drain(&mut self) {
        let mut left = MAX_DRAINED_BYTES;
        while let Ok(Some(bytes)) = self.next().await {
            left = left.saturating_sub(bytes.len() as u64);
            if left == 0 {
                return;
            }
        }
    }
}

//! The body of a request: streamed into a hidden file, never held whole.

use std::io;
use std::pin::Pin;
use std::sync::Arc;

use axum::body::{Body, BodyDataStream};
use bytes::Bytes;
use futures::StreamExt;
use parking_lot::Mutex;
use tokio::io::{AsyncWriteExt, BufWriter};

use crate::checksums::Checksum;
use crate::errors::{BODY_TOO_LARGE, INCOMPLETE_BODY, INVALID_XML, Refusal};
use crate::storage::{Draft, Storage};

/// What is collected before it is written, in bytes.
const WRITE_BYTES: usize = 256 * 1024;
/// How much of an unwanted body is read so that the client sees the answer and not a closed connection, in bytes.
const DRAINED_BYTES: u64 = 256 * 1024 * 1024;

/// A body on its way.
pub(crate) struct Upload {
    /// Never locked: the mutex alone makes it `Sync`, which a body is not and a shared reference in a future must be.
    stream: Option<Mutex<Pin<Box<BodyDataStream>>>>,
    arrived: u64,
}

/// A body that has arrived whole.
pub(crate) struct Received {
    pub(crate) draft: Draft,
    pub(crate) length: u64,
    pub(crate) md5: [u8; 16],
}

impl Upload {
    pub(crate) fn new(body: Body) -> Self {
        Self {
            stream: Some(Mutex::new(Box::pin(body.into_data_stream()))),
            arrived: 0,
        }
    }

    /// The bytes of the body that have arrived.
    pub(crate) fn arrived(&self) -> u64 {
        self.arrived
    }

    /// The next piece; `None` at the end. A body that breaks off is an error.
    async fn next(&mut self) -> Result<Option<Bytes>, Refusal> {
        let Some(stream) = &mut self.stream else {
            return Ok(None);
        };
        match stream.get_mut().next().await {
            Some(Ok(bytes)) => {
                self.arrived += bytes.len() as u64;
                Ok(Some(bytes))
            }
            Some(Err(error)) => {
                self.stream = None;
                tracing::debug!(%error, "a request's body broke off");
                Err(INCOMPLETE_BODY.into())
            }
            None => {
                self.stream = None;
                Ok(None)
            }
        }
    }

    /// Streams it into a hidden file. A body that is not what `checksum` announces is refused.
    pub(crate) async fn receive(
        &mut self,
        storage: &Arc<Storage>,
        limit: u64,
        checksum: Checksum,
    ) -> Result<Received, Refusal> {
        let maker = Arc::clone(storage);
        let made = tokio::task::spawn_blocking(move || maker.draft())
            .await
            .map_err(io::Error::other)
            .flatten();
        let (draft, file) = made.map_err(|error| Refusal::internal(&error))?;
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
            file.write_all(&bytes)
                .await
                .map_err(|error| Refusal::internal(&error))?;
        }
        file.flush().await.map_err(|error| Refusal::internal(&error))?;
        Ok(Received {
            draft,
            length,
            md5: hash.finish()?,
        })
    }

    /// A small body as text.
    pub(crate) async fn text(&mut self, limit: usize, checksum: Checksum) -> Result<String, Refusal> {
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

    /// Reads what nobody wanted, within reason.
    pub(crate) async fn drain(&mut self) {
        let mut left = DRAINED_BYTES;
        while let Ok(Some(bytes)) = self.next().await {
            left = left.saturating_sub(bytes.len() as u64);
            if left == 0 {
                return;
            }
        }
    }
}

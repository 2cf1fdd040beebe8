//! The HTTP client of the credentials. It limits time and size, and keeps the answer for error messages.
//!
//! `azure_identity` reads a body of any size, and drops the status of an answer that it cannot parse (a proxy's HTML page
//! with 502). So each request goes through an [`Exchange`], which reads at most [`MAX_BODY`] and keeps the status.

use std::sync::Arc;
use std::time::Duration;

use azure_core::error::{Error, ErrorKind};
use azure_core::http::headers::{CONTENT_TYPE, RETRY_AFTER};
use azure_core::http::{AsyncRawResponse, HttpClient, Request};
use futures::StreamExt;
use parking_lot::Mutex;

/// Tokens are 2 to 8 KiB.
pub(crate) const MAX_BODY: usize = 64 * 1024;

/// The parts of an answer that an error message may hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) retry_after: Option<Duration>,
    pub(crate) content_type: String,
    /// The body of an error response. `None` on success, because it holds the token, and if it was too large.
    pub(crate) error_body: Option<String>,
    pub(crate) too_large: bool,
}

/// One request and its answer.
#[derive(Debug)]
pub(crate) struct Exchange {
    client: reqwest::Client,
    answer: Mutex<Option<Answer>>,
}

impl Exchange {
    pub(crate) fn new(client: reqwest::Client) -> Arc<Self> {
        Arc::new(Self {
            client,
            answer: Mutex::new(None),
        })
    }

    /// Returns the last answer.
    pub(crate) fn answer(&self) -> Option<Answer> {
        self.answer.lock().clone()
    }
}

#[async_trait::async_trait]
impl HttpClient for Exchange {
    async fn execute_request(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
        let (status, headers, mut stream) = self.client.execute_request(request).await?.deconstruct();
        let mut answer = Answer {
            status: status.into(),
            // In seconds; these services do not use the form with a date.
            retry_after: headers
                .get_optional_str(&RETRY_AFTER)
                .and_then(|seconds| seconds.trim().parse().ok())
                .map(Duration::from_secs),
            content_type: headers.get_optional_str(&CONTENT_TYPE).unwrap_or_default().to_owned(),
            error_body: None,
            too_large: false,
        };
        let mut body = Vec::new();
        while let Some(piece) = stream.next().await {
            let piece = piece?;
            if body.len() + piece.len() > MAX_BODY {
                answer.too_large = true;
                *self.answer.lock() = Some(answer);
                return Err(Error::with_message(
                    ErrorKind::DataConversion,
                    "the answer is too large",
                ));
            }
            body.extend_from_slice(&piece);
        }
        if !status.is_success() {
            answer.error_body = Some(String::from_utf8_lossy(&body).into_owned());
        }
        *self.answer.lock() = Some(answer);
        Ok(AsyncRawResponse::from_bytes(status, headers, body))
    }
}

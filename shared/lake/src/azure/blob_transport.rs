//! Sends the requests of `azure_storage_blob` through the connection.

use std::sync::Arc;

use async_trait::async_trait;
use azure_core::error::{Error, ErrorKind};
use azure_core::http::headers::Headers;
use azure_core::http::policies::{Policy, PolicyResult};
use azure_core::http::{AsyncRawResponse, Body, Context, HttpClient, Request};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use futures::TryStreamExt;

use crate::azure::connection::{Http, SendError};

/// The transport of `azure_storage_blob`.
#[derive(Debug)]
pub(crate) struct BlobTransport(pub(crate) Arc<Http>);

#[async_trait]
impl HttpClient for BlobTransport {
    async fn execute_request(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
        let Body::Bytes(body) = request.body() else {
            return Err(other("only bodies in memory are supported"));
        };
        let headers = request.headers().iter();
        let headers: Vec<_> = headers.map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let method = request.method();
        let sent = self.0.forward(method.as_ref(), request.url(), &headers, body).await;
        let answer = sent.map_err(|error| {
            // The crate retries connection and I/O errors only.
            let kind = match &error {
                SendError::Network { is_connect: true, .. } => ErrorKind::Connection,
                SendError::Network { .. } => ErrorKind::Io,
                _ => ErrorKind::Credential,
            };
            Error::new(kind, error)
        })?;
        let status = answer.status().as_u16().into();
        let mut headers = Headers::new();
        for (name, value) in answer.headers() {
            if let Ok(value) = value.to_str() {
                headers.insert(name.as_str().to_owned(), value.to_owned());
            }
        }
        let body = answer.bytes_stream();
        let body = body.map_err(|error| Error::new(ErrorKind::Io, SendError::network(error)));
        Ok(AsyncRawResponse::new(status, headers, Box::pin(body)))
    }
}

fn other(text: &'static str) -> Error {
    Error::with_message(ErrorKind::Other, text)
}

/// The MD5 of a request's body, for the context of a call: the service verifies the body with it. The crate's `upload` has
/// no option for it.
#[derive(Clone, Debug)]
pub(crate) struct ContentMd5(pub(crate) [u8; 16]);

/// Sends the `Content-MD5` header for calls that carry a [`ContentMd5`].
#[derive(Debug)]
pub(crate) struct ContentMd5Policy;

#[async_trait]
impl Policy for ContentMd5Policy {
    async fn send(&self, ctx: &Context, request: &mut Request, next: &[Arc<dyn Policy>]) -> PolicyResult {
        if let Some(ContentMd5(md5)) = ctx.value::<ContentMd5>() {
            request.insert_header("content-md5", BASE64_STANDARD.encode(md5));
        }
        match next.split_first() {
            Some((first, rest)) => first.send(ctx, request, rest).await,
            None => Err(other("the pipeline has no transport")),
        }
    }
}

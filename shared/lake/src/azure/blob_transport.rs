//! Sends the requests of `azure_storage_blob` through the connection.

use std::sync::Arc;

use async_trait::async_trait;
use azure_core::error::{Error, ErrorKind};
use azure_core::http::headers::{HeaderName, HeaderValue, Headers};
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
        let method = http::Method::from_bytes(request.method().as_ref().as_bytes())
            .map_err(|error| Error::new(ErrorKind::Other, error))?;
        let Body::Bytes(body) = request.body() else {
            return Err(Error::with_message(
                ErrorKind::Other,
                "only bodies in memory are supported",
            ));
        };
        let build = || {
            let mut built = self.0.request(method.clone(), request.url().clone());
            for (name, value) in request.headers().iter() {
                built = built.header(name.as_str(), value.as_str());
            }
            built.body(body.clone()).build()
        };
        let answer = self.0.send(build).await.map_err(|error| {
            // The crate retries connection and I/O errors only.
            let kind = match &error {
                SendError::Network { is_connect: true, .. } => ErrorKind::Connection,
                SendError::Network { .. } => ErrorKind::Io,
                SendError::Identity(_) | SendError::Unauthorized(_) | SendError::Forbidden { .. } => {
                    ErrorKind::Credential
                }
            };
            Error::new(kind, error)
        })?;
        let status = answer.status().as_u16().into();
        let mut headers = Headers::new();
        for (name, value) in answer.headers() {
            if let Ok(value) = value.to_str() {
                headers.insert(
                    HeaderName::from(name.as_str().to_owned()),
                    HeaderValue::from(value.to_owned()),
                );
            }
        }
        let body = answer
            .bytes_stream()
            .map_err(|error| Error::new(ErrorKind::Io, SendError::network(error)));
        Ok(AsyncRawResponse::new(status, headers, Box::pin(body)))
    }
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
        let (first, rest) = next
            .split_first()
            .ok_or_else(|| Error::with_message(ErrorKind::Other, "the pipeline has no transport"))?;
        first.send(ctx, request, rest).await
    }
}

//! `azure_storage_blob` over our connection: one pool, one identity, one set of time limits.

use std::sync::Arc;

use async_trait::async_trait;
use azure_core::error::{Error, ErrorKind};
use azure_core::http::headers::{HeaderName, HeaderValue, Headers};
use azure_core::http::policies::{Policy, PolicyResult};
use azure_core::http::{AsyncRawResponse, Body, Context, HttpClient, Request};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use futures::TryStreamExt;

use crate::azure::connection::{Http, Trouble};

/// Sends the requests of `azure_storage_blob`.
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
                "only bodies in memory can be sent",
            ));
        };
        let build = || {
            let mut ours = self.0.request(method.clone(), request.url().clone());
            for (name, value) in request.headers().iter() {
                ours = ours.header(name.as_str(), value.as_str());
            }
            ours.body(body.clone()).build()
        };
        let answer = self.0.send(build).await.map_err(|trouble| {
            // The crate retries connection and I/O errors, and no others.
            let kind = match &trouble {
                Trouble::Network { is_connect: true, .. } => ErrorKind::Connection,
                Trouble::Network { .. } => ErrorKind::Io,
                Trouble::Identity(_) | Trouble::Unauthorized(_) | Trouble::Forbidden { .. } => ErrorKind::Credential,
            };
            Error::new(kind, trouble)
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
            .map_err(|error| Error::new(ErrorKind::Io, Trouble::network(error)));
        Ok(AsyncRawResponse::new(status, headers, Box::pin(body)))
    }
}

/// The MD5 of a request's body, put into the context of a call so that the service verifies what it received. The
/// crate's `upload` has no option for it.
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

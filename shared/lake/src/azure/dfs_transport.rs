//! Sends the requests of `azure_storage_datalake` through the connection. The crate's own client opens a connection for
//! every request and has no time limits.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use azure_core_legacy::error::{Error, ErrorKind};
use azure_core_legacy::headers::{HeaderName, HeaderValue, Headers};
use azure_core_legacy::{Body, HttpClient, Request, Response, Result, StatusCode};
use futures::TryStreamExt;

use crate::azure::connection::{Http, SendError};

/// The transport of `azure_storage_datalake`.
#[derive(Debug)]
pub(crate) struct DfsTransport(pub(crate) Arc<Http>);

#[async_trait]
impl HttpClient for DfsTransport {
    async fn execute_request(&self, request: &Request) -> Result<Response> {
        let Body::Bytes(body) = request.body() else {
            return Err(Error::message(ErrorKind::Other, "only bodies in memory are supported"));
        };
        let headers = request.headers().iter();
        let headers: Vec<_> = headers.map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let method = request.method();
        let sent = self.0.forward(method.as_ref(), request.url(), &headers, body).await;
        let answer = sent.map_err(|error| {
            // The crate retries I/O errors only.
            let kind = match &error {
                SendError::Network { .. } => ErrorKind::Io,
                _ => ErrorKind::Credential,
            };
            Error::new(kind, error)
        })?;
        let status = StatusCode::try_from(answer.status().as_u16())
            .map_err(|_| Error::message(ErrorKind::Other, format!("status {}", answer.status().as_u16())))?;
        let text = |(name, value): (&http::HeaderName, &http::HeaderValue)| -> Option<(HeaderName, HeaderValue)> {
            Some((name.as_str().to_owned().into(), value.to_str().ok()?.to_owned().into()))
        };
        let headers: HashMap<_, _> = answer.headers().iter().filter_map(text).collect();
        let headers = Headers::from(headers);
        let body = answer.bytes_stream();
        let body = body.map_err(|error| Error::new(ErrorKind::Io, SendError::network(error)));
        Ok(Response::new(status, headers, Box::pin(body)))
    }
}

//! Sends the requests of `azure_storage_datalake` through the connection. The crate's own client opens a connection for
//! every request and has no time limits.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use azure_core_legacy::error::{Error, ErrorKind, ResultExt};
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
        let method = http::Method::from_bytes(request.method().as_ref().as_bytes()).map_kind(ErrorKind::Other)?;
        let Body::Bytes(bytes) = request.body() else {
            return Err(Error::message(ErrorKind::Other, "only bodies in memory are supported"));
        };
        let build = || {
            let mut built = self.0.request(method.clone(), request.url().clone());
            for (name, value) in request.headers().iter() {
                built = built.header(name.as_str(), value.as_str());
            }
            built.body(bytes.clone()).build()
        };
        let answer = self.0.send(build).await.map_err(|error| {
            // The crate retries I/O errors only.
            let kind = match &error {
                SendError::Network { .. } => ErrorKind::Io,
                SendError::Identity(_) | SendError::Unauthorized(_) | SendError::Forbidden { .. } => {
                    ErrorKind::Credential
                }
            };
            Error::new(kind, error)
        })?;
        let status = StatusCode::try_from(answer.status().as_u16())
            .map_err(|_| Error::message(ErrorKind::Other, format!("status {}", answer.status().as_u16())))?;
        let headers = headers(answer.headers());
        let body = answer
            .bytes_stream()
            .map_err(|error| Error::new(ErrorKind::Io, SendError::network(error)));
        Ok(Response::new(status, headers, Box::pin(body)))
    }
}

fn headers(found: &http::HeaderMap) -> Headers {
    let text: HashMap<HeaderName, HeaderValue> = found
        .iter()
        .filter_map(|(name, value)| Some((name.as_str().to_owned().into(), value.to_str().ok()?.to_owned().into())))
        .collect();
    text.into()
}

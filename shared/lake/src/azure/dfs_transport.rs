//! `azure_storage_datalake` over our connection. Its own client opens a connection for every request and has no time
//! limits.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use azure_core_legacy::error::{Error, ErrorKind, ResultExt};
use azure_core_legacy::headers::{HeaderName, HeaderValue, Headers};
use azure_core_legacy::{Body, HttpClient, Request, Response, Result, StatusCode};
use futures::TryStreamExt;

use crate::azure::connection::{Http, Trouble};

#[derive(Debug)]
pub(crate) struct DfsTransport(pub(crate) Arc<Http>);

#[async_trait]
impl HttpClient for DfsTransport {
    async fn execute_request(&self, request: &Request) -> Result<Response> {
        let method = http::Method::from_bytes(request.method().as_ref().as_bytes()).map_kind(ErrorKind::Other)?;
        let Body::Bytes(bytes) = request.body() else {
            return Err(Error::message(ErrorKind::Other, "only bodies in memory are sent"));
        };
        let make = || {
            let mut ours = self.0.request(method.clone(), request.url().clone());
            for (name, value) in request.headers().iter() {
                ours = ours.header(name.as_str(), value.as_str());
            }
            ours.body(bytes.clone()).build()
        };
        let answer = self.0.send(make).await.map_err(|trouble| {
            // The crate tries again after errors of I/O, and after no others.
            let kind = match &trouble {
                Trouble::Network { .. } => ErrorKind::Io,
                Trouble::Identity(_) | Trouble::Unauthorized(_) | Trouble::Forbidden { .. } => ErrorKind::Credential,
            };
            Error::new(kind, trouble)
        })?;
        let status = StatusCode::try_from(answer.status().as_u16())
            .map_err(|_| Error::message(ErrorKind::Other, format!("status {}", answer.status().as_u16())))?;
        let headers = headers(answer.headers());
        let body = answer
            .bytes_stream()
            .map_err(|error| Error::new(ErrorKind::Io, Trouble::network(error)));
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

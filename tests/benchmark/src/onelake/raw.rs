//! Bare HTTP client: sends the same requests as the product (headers, bodies) without lookups and without hashing.

use std::fs;
use std::path::Path;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use md5::{Digest as _, Md5};
use reqwest::{Client, RequestBuilder};

use xact_testkit::{Result, context, failed};

/// A body with its checksum, which is computed once, outside the measurement.
#[derive(Clone)]
pub(crate) struct Body {
    bytes: Bytes,
    md5: String,
}

impl Body {
    pub(crate) fn new(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        Self {
            md5: BASE64_STANDARD.encode(Md5::digest(&bytes)),
            bytes,
        }
    }
}

/// A client for one item.
#[derive(Clone)]
pub(crate) struct Raw {
    client: Client,
    item: String,
    token: String,
}

impl Raw {
    pub(crate) fn new(item: &str, token: &str, authority: &Path) -> Result<Self> {
        let pem = fs::read(authority).map_err(context("the certificate"))?;
        let certificates = reqwest::Certificate::from_pem_bundle(&pem);
        let certificates = certificates.map_err(context("the certificate"))?;
        // The same options as the client of the product.
        let client = Client::builder()
            .http1_only()
            .tcp_nodelay(true)
            .tls_certs_merge(certificates)
            .build();
        Ok(Self {
            client: client.map_err(context("an HTTP client"))?,
            item: item.to_owned(),
            token: token.to_owned(),
        })
    }

    /// Sends Put Blob, on condition that the blob does not exist.
    pub(crate) async fn put_blob(&self, path: &str, body: Body) -> Result<()> {
        let request = self.put(path, "", body);
        send(
            request
                .header("x-ms-blob-type", "BlockBlob")
                .header("If-None-Match", "*"),
        )
        .await
    }

    /// Sends Put Block.
    pub(crate) async fn put_block(&self, path: &str, id: &str, body: Body) -> Result<()> {
        let id = BASE64_STANDARD.encode(id).replace('=', "%3D");
        send(self.put(path, &format!("?comp=block&blockid={id}"), body)).await
    }

    /// Sends Put Block List, on condition that the blob does not exist.
    pub(crate) async fn put_block_list(&self, path: &str, ids: &[String]) -> Result<()> {
        let latest = |id: &String| format!("<Latest>{}</Latest>", BASE64_STANDARD.encode(id));
        let list: String = ids.iter().map(latest).collect();
        let body = Body::new(format!("<?xml version=\"1.0\"?><BlockList>{list}</BlockList>"));
        send(
            self.put(path, "?comp=blocklist", body)
                .header("If-None-Match", "*")
                .header("Content-Type", "application/xml"),
        )
        .await
    }

    fn put(&self, path: &str, query: &str, body: Body) -> RequestBuilder {
        let date = jiff::Timestamp::now().strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
        self.client
            .put(format!("{}/{path}{query}", self.item))
            .bearer_auth(&self.token)
            .header("x-ms-version", "2023-11-03")
            .header("x-ms-date", date)
            .header("x-ms-meta-xact_sha256", "00".repeat(32))
            .header("Content-MD5", body.md5)
            .body(body.bytes)
    }
}

async fn send(request: RequestBuilder) -> Result<()> {
    let response = request.send().await.map_err(context("a raw request"))?;
    let status = response.status();
    let text = response.text().await.map_err(context("a raw response"))?;
    if status.is_success() {
        Ok(())
    } else {
        Err(failed("a raw request", format!("{status}: {text}")))
    }
}

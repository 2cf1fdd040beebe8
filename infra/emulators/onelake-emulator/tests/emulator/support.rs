//! An emulator over a new folder, and a client that sends exactly the given request.
//!
//! A path without a slash at its beginning is below [`FILES`].

use std::path::PathBuf;

use bytes::Bytes;
use reqwest::header::HeaderMap;
use reqwest::{Body, Client, Method, Response};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use onelake_emulator::{AcceptedToken, Item, OneLake, Options};
use xact_testkit::WorkDir;

/// The token in every request of [`Lake`].
pub(crate) const TOKEN: &str = "token-of-the-tests";
/// The folder for files.
pub(crate) const FILES: &str = "/claims/Lake.Lakehouse/Files";
/// The header of a Put Blob.
pub(crate) const BLOCK: (&str, &str) = ("x-ms-blob-type", "BlockBlob");
/// The condition that the path does not exist.
pub(crate) const NEW: (&str, &str) = ("If-None-Match", "*");

/// An emulator with the item `claims/Lake.Lakehouse`.
pub(crate) struct Lake {
    pub(crate) emulator: OneLake,
    pub(crate) dir: WorkDir,
    pub(crate) client: Client,
}

/// An answer. It equals its status and error code: `"201"`, `"404 BlobNotFound"`.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl PartialEq<&str> for Answer {
    fn eq(&self, outcome: &&str) -> bool {
        format!("{} {}", self.status, self.header("x-ms-error-code")).trim_end() == *outcome
    }
}

impl Answer {
    pub(crate) async fn of(response: Response) -> reqwest::Result<Self> {
        Ok(Self {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            body: response.bytes().await?,
        })
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn headers<const N: usize>(&self, names: [&str; N]) -> [&str; N] {
        names.map(|name| self.header(name))
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

pub(crate) fn token(token: &str) -> AcceptedToken {
    AcceptedToken {
        token: token.into(),
        principal: token.into(),
        expires_at: None,
    }
}

fn absolute(path: &str) -> String {
    if path.starts_with('/') {
        path.to_owned()
    } else {
        format!("{FILES}/{path}")
    }
}

impl Lake {
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| ()).await
    }

    pub(crate) async fn start_with(change: impl FnOnce(&mut Options)) -> Self {
        Self::start_in(WorkDir::new("onelake").unwrap(), |options| {
            options.items = vec![Item::new("claims", "Lake.Lakehouse")];
            change(options);
        })
        .await
    }

    /// Starts a new emulator over the same folder.
    pub(crate) async fn restart(self) -> Self {
        self.emulator.stop().await;
        Self::start_in(self.dir, |_| ()).await
    }

    async fn start_in(dir: WorkDir, change: impl FnOnce(&mut Options)) -> Self {
        let mut options = Options::new(dir.path());
        options.tokens = vec![token(TOKEN)];
        change(&mut options);
        let emulator = OneLake::start(options).await.unwrap();
        let client = Client::builder().no_proxy().build().unwrap();
        Self { emulator, dir, client }
    }

    /// Returns the path of a file on disk.
    pub(crate) fn on_disk(&self, path: &str) -> PathBuf {
        self.dir.join(absolute(path).trim_start_matches('/'))
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{}", self.emulator.url(), absolute(path))
    }

    /// Sends a request.
    pub(crate) async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Body>,
    ) -> Answer {
        self.try_send(method, path, headers, body).await.unwrap()
    }

    pub(crate) async fn try_send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Body>,
    ) -> reqwest::Result<Answer> {
        let (method, body) = (Method::from_bytes(method.as_bytes()).unwrap(), body.into());
        // reqwest omits Content-Length for an empty body; Azure requires it.
        let is_empty = body.as_bytes().is_some_and(<[u8]>::is_empty);
        let method_has_body = matches!(method, Method::PUT | Method::PATCH | Method::POST);
        let mut request = self.client.request(method, self.url(path)).body(body);
        if !headers.iter().any(|(name, _)| *name == "Authorization") {
            request = request.bearer_auth(TOKEN);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if is_empty && method_has_body {
            request = request.header("Content-Length", "0");
        }
        Answer::of(request.send().await?).await
    }

    /// Sends requests (`METHOD path`, body), and asserts the outcome of each.
    pub(crate) async fn assert_outcomes(&self, cases: &[(&str, &'static str, &str)]) {
        for (request, body, outcome) in cases {
            let (method, path) = request.split_once(' ').unwrap();
            let answer = self.send(method, path, &[], *body).await;
            assert_eq!(answer, *outcome, "{request} {body}");
        }
    }

    /// Sends JSON to the admin endpoint; null: no body.
    pub(crate) async fn admin(&self, method: &str, path: &str, body: Value) -> Answer {
        let path = format!("/__admin/{path}");
        if body.is_null() {
            return self.send(method, &path, &[], "").await;
        }
        let json = [("Content-Type", "application/json")];
        self.send(method, &path, &json, body.to_string()).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], "").await
    }

    pub(crate) async fn head(&self, path: &str) -> Answer {
        self.send("HEAD", path, &[], "").await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.send("DELETE", path, &[], "").await
    }

    /// Writes a blob.
    pub(crate) async fn put(&self, path: &str, body: impl Into<Body>) -> Answer {
        self.put_with(&[], path, body).await
    }

    /// Writes a blob, with more headers.
    pub(crate) async fn put_with(&self, headers: &[(&str, &str)], path: &str, body: impl Into<Body>) -> Answer {
        self.send("PUT", path, &[&[BLOCK], headers].concat(), body).await
    }

    /// Creates an empty file.
    pub(crate) async fn create(&self, path: &str) -> Answer {
        self.send("PUT", &format!("{path}?resource=file"), &[], "").await
    }

    /// Creates a file, appends to it, flushes it.
    pub(crate) async fn write(&self, path: &str, body: &'static str) {
        assert_eq!(self.create(path).await, "201");
        assert_eq!(self.append(path, 0, body).await, "202");
        assert_eq!(self.flush(path, body.len()).await, "200");
    }

    pub(crate) async fn append(&self, path: &str, position: usize, body: impl Into<Body>) -> Answer {
        let url = format!("{path}?action=append&position={position}");
        self.send("PATCH", &url, &[], body).await
    }

    pub(crate) async fn flush(&self, path: &str, position: usize) -> Answer {
        let url = format!("{path}?action=flush&close=true&position={position}");
        self.send("PATCH", &url, &[], "").await
    }

    /// Renames a file or folder.
    pub(crate) async fn rename(&self, from: &str, to: &str) -> Answer {
        let source = [("x-ms-rename-source", &*absolute(from))];
        self.send("PUT", &format!("{to}?mode=legacy"), &source, "").await
    }

    /// Sends a request line unchanged (an HTTP client would normalize it), and returns everything until the connection closes.
    pub(crate) async fn raw(&self, request_line: &str) -> String {
        let mut stream = TcpStream::connect(self.emulator.addr()).await.unwrap();
        let request = format!(
            "{request_line} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\nx-ms-blob-type: BlockBlob\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        // A reset counts as a close.
        let _ = stream.read_to_end(&mut answer).await;
        String::from_utf8_lossy(&answer).into_owned()
    }
}

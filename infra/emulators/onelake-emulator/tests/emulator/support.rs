//! An emulator over a new folder, and a client that sends exactly the given request.

use std::path::PathBuf;

use reqwest::header::HeaderMap;
use reqwest::{Body, Client, Method};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use onelake_emulator::{AcceptedToken, Item, OneLake, Options};
use xact_testkit::WorkDir;

/// The token in every request of [`Lake`].
pub(crate) const TOKEN: &str = "token-of-the-tests";
/// Its principal.
pub(crate) const PRINCIPAL: &str = "tests";
/// The folder for files.
pub(crate) const FILES: &str = "/claims/Lake.Lakehouse/Files";

/// An emulator with the item `claims/Lake.Lakehouse`.
pub(crate) struct Lake {
    pub(crate) emulator: OneLake,
    pub(crate) dir: WorkDir,
    pub(crate) client: Client,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    /// Returns status and error code.
    pub(crate) fn outcome(&self) -> (u16, &str) {
        (self.status, self.header("x-ms-error-code"))
    }
}

pub(crate) fn token(token: &str, principal: &str) -> AcceptedToken {
    AcceptedToken {
        token: token.into(),
        principal: principal.into(),
        expires_at: None,
    }
}

impl Lake {
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| ()).await
    }

    pub(crate) async fn start_with(change: impl FnOnce(&mut Options)) -> Self {
        let dir = WorkDir::new("onelake").unwrap();
        let mut options = Options::new(dir.path());
        options.items = vec![Item::new("claims", "Lake.Lakehouse")];
        options.tokens = vec![token(TOKEN, PRINCIPAL)];
        change(&mut options);
        let emulator = OneLake::start(options).await.unwrap();
        let client = Client::builder().no_proxy().build().unwrap();
        Self { emulator, dir, client }
    }

    /// Starts a new emulator over the same folder.
    pub(crate) async fn restart(self) -> Self {
        let Self { emulator, dir, client } = self;
        emulator.stop().await;
        let mut options = Options::new(dir.path());
        options.tokens = vec![token(TOKEN, PRINCIPAL)];
        let emulator = OneLake::start(options).await.unwrap();
        Self { emulator, dir, client }
    }

    /// Returns the path of a file on disk.
    pub(crate) fn on_disk(&self, path: &str) -> PathBuf {
        self.dir.join(path.trim_start_matches('/'))
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
        let mut request = self
            .client
            .request(method, format!("{}{path}", self.emulator.url()))
            .body(body);
        if !headers
            .iter()
            .any(|(name, _)| name.eq_ignore_ascii_case("authorization"))
        {
            request = request.bearer_auth(TOKEN);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if is_empty && method_has_body {
            request = request.header("Content-Length", "0");
        }
        let response = request.send().await?;
        Ok(Answer {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            body: response.bytes().await?.to_vec(),
        })
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], "").await
    }

    pub(crate) async fn head(&self, path: &str) -> Answer {
        self.send("HEAD", path, &[], "").await
    }

    /// Writes a blob.
    pub(crate) async fn put(&self, path: &str, body: impl Into<Body>) -> Answer {
        self.send("PUT", path, &[("x-ms-blob-type", "BlockBlob")], body).await
    }

    /// Creates a file, appends to it, flushes it.
    pub(crate) async fn write(&self, path: &str, body: &'static str) {
        assert_eq!(
            self.send("PUT", &format!("{path}?resource=file"), &[], "").await.status,
            201
        );
        assert_eq!(self.append(path, 0, body).await.status, 202);
        assert_eq!(self.flush(path, body.len()).await.status, 200);
    }

    pub(crate) async fn append(&self, path: &str, position: usize, body: impl Into<Body>) -> Answer {
        self.send("PATCH", &format!("{path}?action=append&position={position}"), &[], body)
            .await
    }

    pub(crate) async fn flush(&self, path: &str, position: usize) -> Answer {
        self.send(
            "PATCH",
            &format!("{path}?action=flush&close=true&position={position}"),
            &[],
            "",
        )
        .await
    }

    /// Renames a file or folder.
    pub(crate) async fn rename(&self, from: &str, to: &str, headers: &[(&str, &str)]) -> Answer {
        let headers = [&[("x-ms-rename-source", from)], headers].concat();
        self.send("PUT", &format!("{to}?mode=legacy"), &headers, "").await
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

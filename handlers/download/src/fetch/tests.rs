//! Hostile and unusual servers: each response ends in its category within its time, and a failed one leaves no file.

mod content;
mod malformed;
mod redirects;
mod repeats;
mod service_errors;
mod slow;
mod tls;
mod tolerated;
mod truncated;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use super::coding::tests::{gzip, signed_frames};
use super::raw_server::{Connection, RawServer, path_of};
use super::*;
use xact_cache::Cache;
use xact_config::Environment;

const MAX_FILE_BYTES: u64 = 1_000_000;
/// A small PDF, as far as the rules check.
const PDF: &[u8] = b"%PDF-1.7\n1 0 obj\n<< >>\nendobj\ntrailer\n<< >>\n%%EOF\n";
const PDF_SHA256: &str = "026bb3d8af9ab1e1e2ec9d63dc3712e17cd9105dae94ea981e1f2b7aa8b2fa36";

/// For responses that must arrive, also on a machine under load.
const LONG_TIMEOUTS: Timeouts = Timeouts {
    connect: Duration::from_secs(30),
    idle: Duration::from_secs(30),
    base: Duration::from_secs(60),
    min_rate: 1_000,
};
/// For responses that are never complete.
const SHORT_TIMEOUTS: Timeouts = Timeouts {
    connect: Duration::from_secs(2),
    idle: Duration::from_secs(1),
    base: Duration::from_secs(2),
    min_rate: 1_000_000,
};
/// Many times the total of [`SHORT_TIMEOUTS`].
const TEST_TIMEOUT: Duration = Duration::from_secs(60);

struct Bench {
    policy: UrlPolicy,
    fetcher: Fetcher,
    folder: tempfile::TempDir,
    cache: Cache,
}

impl Bench {
    fn new() -> Self {
        Self::with(LONG_TIMEOUTS, None)
    }

    /// A bench whose client also trusts this authority.
    fn with(timeouts: Timeouts, ca_pem: Option<&str>) -> Self {
        Self::with_settings(timeouts, ca_pem, &[])
    }

    fn with_settings(timeouts: Timeouts, ca_pem: Option<&str>, settings: &[(&str, String)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut environment = Environment::default();
        environment.set("DEV_MODE", "true");
        environment.set("MAX_FILE_BYTES", MAX_FILE_BYTES.to_string());
        for (name, value) in settings {
            environment.set(name, value);
        }
        if let Some(pem) = ca_pem {
            let file = folder.path().join("ca.pem");
            std::fs::write(&file, pem).unwrap();
            environment.set("DEV_CA_FILE", file.display().to_string());
        }
        let settings = Settings::from_environment(&environment).unwrap();
        let resolver = PublicResolver::new(settings.dev.clone());
        Self {
            policy: UrlPolicy::new(&settings.allowed_hosts).in_dev_mode(),
            fetcher: Fetcher::with(&settings, &resolver, timeouts).unwrap(),
            cache: Cache::create(&folder.path().join("cache")).unwrap(),
            folder,
        }
    }

    async fn fetch_url(&self, url: &str) -> Result<FileInfo, Problem> {
        self.judge_url(url).await.map(|(cached, _)| cached)
    }

    async fn judge_url(&self, url: &str) -> Result<(FileInfo, Judged), Problem> {
        let url = self.policy.check(url).unwrap();
        let named = file_rules::named_type(&url).unwrap();
        let slot = self.cache.slot(Uuid::new_v4()).await;
        let fetch = self.fetcher.fetch(&self.policy, url, named, &slot);
        let fetched = tokio::time::timeout(TEST_TIMEOUT, fetch).await;
        fetched.expect("it ends in time").map_err(|error| match error {
            FetchError::Failed { problem, .. } => problem,
            FetchError::Cache(error) => panic!("{error}"),
        })
    }

    async fn fetch(&self, server: &RawServer) -> Result<FileInfo, Problem> {
        self.fetch_url(&server.url("a.pdf")).await
    }

    async fn assert_fetches_pdf(&self, name: &str, server: &RawServer) {
        let fetched = self.fetch(server).await;
        let cached = fetched.unwrap_or_else(|problem| panic!("{name}: {}", problem.message()));
        assert_eq!(
            (cached.bytes, cached.sha256.as_str()),
            (PDF.len() as u64, PDF_SHA256),
            "{name}"
        );
    }

    /// Complete files and parts in the cache.
    fn files(&self) -> Vec<PathBuf> {
        let folders = std::fs::read_dir(self.folder.path().join("cache")).unwrap();
        folders
            .flat_map(|shard| std::fs::read_dir(shard.unwrap().path()).unwrap())
            .map(|file| file.unwrap().path())
            .collect()
    }

    /// Asserts how the attempt fails, and that it leaves no file behind.
    async fn assert_fails(&self, name: &str, server: &RawServer, expected: Category, words: &str) {
        let before = self.files();
        let problem = self.fetch(server).await.expect_err(name);
        assert_eq!(problem.category, expected, "{name}: {}", problem.message());
        assert!(problem.message().contains(words), "{name}: {}", problem.message());
        assert_eq!(self.files(), before, "{name}");
    }

    async fn assert_is_transient(&self, name: &str, server: &RawServer, words: &str) {
        self.assert_fails(name, server, Category::Transient, words).await;
    }
}

/// A complete response with this header block and body.
fn answer(headers: &str, body: &[u8]) -> Vec<u8> {
    [b"HTTP/1.1 200 OK\r\n", headers.as_bytes(), b"\r\n", body].concat()
}

/// A complete response with these headers and the body's length.
fn sized(headers: &str, body: &[u8]) -> Vec<u8> {
    answer(&format!("{headers}Content-Length: {}\r\n", body.len()), body)
}

/// What a server does after its response.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Then {
    Hold,
    Close,
}

/// A server that sends `bytes`, and then holds the connection or closes it.
async fn sends(bytes: Vec<u8>, then: Then) -> RawServer {
    sends_in_pieces(bytes, 1, then).await
}

async fn sends_in_pieces(bytes: Vec<u8>, pieces: usize, then: Then) -> RawServer {
    RawServer::start(move |_, mut connection| {
        let bytes = bytes.clone();
        async move {
            connection.request().await;
            for piece in bytes.chunks(bytes.len().div_ceil(pieces)) {
                connection.send(piece).await;
            }
            if then == Then::Hold {
                connection.hold().await;
            }
        }
    })
    .await
}

/// A server's TLS with a certificate for `name`, or for several with commas between them, and that certificate.
fn tls(name: &str, protocols: &[&[u8]]) -> (rustls::ServerConfig, String) {
    let names: Vec<String> = name.split(',').map(str::to_owned).collect();
    let made = rcgen::generate_simple_self_signed(names).unwrap();
    let key = rustls::pki_types::PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key.into())
        .unwrap();
    config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    (config, made.cert.pem())
}

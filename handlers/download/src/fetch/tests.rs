//! Hostile answers: each ends in its category within its time, and leaves nothing behind.

mod odd_answers;
mod repeats;
mod service_errors;

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use uuid::Uuid;

use super::coding::tests::{gzip, signed_frames};
use super::raw_server::{Connection, RawServer};
use super::*;
use xact_cache::{Cache, FileInfo};
use xact_config::Environment;
use xact_contracts::file_rules;

const MAX_FILE_BYTES: u64 = 1_000_000;
/// A small PDF, as far as the rules look.
const PDF: &[u8] = b"%PDF-1.7\n1 0 obj\n<< >>\nendobj\ntrailer\n<< >>\n%%EOF\n";

/// For answers that must come, on a machine under load as well.
const PATIENT: TimeLimits = TimeLimits {
    connect: Duration::from_secs(30),
    idle: Duration::from_secs(30),
    base: Duration::from_secs(60),
    least_rate: 1_000,
};
/// For answers that are never complete.
const IMPATIENT: TimeLimits = TimeLimits {
    connect: Duration::from_secs(2),
    idle: Duration::from_secs(1),
    base: Duration::from_secs(2),
    least_rate: 1_000_000,
};
/// What the impatient limits come to, many times over.
const IN_TIME: Duration = Duration::from_secs(60);

struct Bench {
    policy: UrlPolicy,
    fetcher: Fetcher,
    folder: tempfile::TempDir,
    cache: Cache,
}

impl Bench {
    fn new() -> Self {
        Self::with(PATIENT, None)
    }

    /// A bench whose client may trust this authority as well.
    fn with(limits: TimeLimits, ca_pem: Option<&str>) -> Self {
        Self::with_settings(limits, ca_pem, &[])
    }

    fn with_settings(limits: TimeLimits, ca_pem: Option<&str>, settings: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut environment = Environment::default();
        environment.set("DEV_MODE", "true");
        environment.set("MAX_FILE_BYTES", MAX_FILE_BYTES.to_string());
        for (name, value) in settings {
            environment.set(name, *value);
        }
        if let Some(pem) = ca_pem {
            let file = folder.path().join("ca.pem");
            std::fs::write(&file, pem).unwrap();
            environment.set("DEV_CA_FILE", file.display().to_string());
        }
        let settings = Settings::from_environment(&environment).unwrap();
        let resolver = PublicResolver::new(settings.dev.clone());
        Self {
            policy: UrlPolicy::new(&settings.allowed_hosts, true),
            fetcher: Fetcher::with(&settings, &resolver, limits).unwrap(),
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
        let fetched = tokio::time::timeout(IN_TIME, fetch).await.expect("it ends in time");
        fetched.map_err(|error| match error {
            FetchError::Refused { problem, .. } => problem,
            FetchError::Cache(error) => panic!("{error}"),
        })
    }

    async fn fetch(&self, server: &RawServer) -> Result<FileInfo, Problem> {
        self.fetch_url(&format!("http://localhost:{}/a.pdf", server.port)).await
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
}

/// A complete answer with this header block and body.
fn answer(headers: &str, body: &[u8]) -> Vec<u8> {
    [b"HTTP/1.1 200 OK\r\n", headers.as_bytes(), b"\r\n", body].concat()
}

/// A complete answer with these headers and the body's length.
fn sized(headers: &str, body: &[u8]) -> Vec<u8> {
    answer(&format!("{headers}Content-Length: {}\r\n", body.len()), body)
}

/// A server that sends `bytes`, and then holds the connection or closes it.
async fn sends(bytes: Vec<u8>, then_holds: bool) -> RawServer {
    RawServer::start(move |_, mut connection| {
        let bytes = bytes.clone();
        async move {
            connection.request().await;
            connection.send(&bytes).await;
            if then_holds {
                connection.hold().await;
            }
        }
    })
    .await
}

#[tokio::test]
async fn the_request_asks_for_no_encoding_and_carries_nothing_else() {
    let seen = Arc::new(Mutex::new(String::new()));
    let server = RawServer::start({
        let seen = Arc::clone(&seen);
        move |_, mut connection: Connection| {
            let seen = Arc::clone(&seen);
            async move {
                let request = connection.request().await;
                seen.lock().unwrap().push_str(&request);
                connection
                    .send(&answer(&format!("Content-Length: {}\r\n", PDF.len()), PDF))
                    .await;
            }
        }
    })
    .await;
    let bench = Bench::new();
    assert_eq!(bench.fetch(&server).await.unwrap().bytes, PDF.len() as u64);
    let request = seen.lock().unwrap().to_lowercase();
    let names: Vec<&str> = request
        .lines()
        .skip(1)
        .filter_map(|line| Some(line.split_once(':')?.0))
        .collect();
    assert_eq!(names, ["accept", "user-agent", "host"], "{request}");
}

#[tokio::test]
async fn redirects_have_no_more_rights_than_the_first_url() {
    let bench = Bench::new();
    for location in [
        "http://claimxperience.com/a.pdf",
        "http://127.0.0.1/a.pdf",
        "https://127.0.0.1/a.pdf",
        "https://169.254.169.254/latest/meta-data/a.pdf",
        "http://169.254.169.254/latest/meta-data/a.pdf",
        "https://[::1]/a.pdf",
        "https://[fd00:ec2::254]/a.pdf",
        "https://2130706433/a.pdf",
        "//evil.example/a.pdf",
        "///evil.example/a.pdf",
        "\\\\evil.example/a.pdf",
        "/\\evil.example/a.pdf",
        "https://user@localhost/a.pdf",
        "https://localhost@evil.example/a.pdf",
        "file:///etc/passwd",
        "ftp://localhost/a.pdf",
        "data:application/pdf,a",
        "javascript:alert(1)",
        "unix:/var/run/docker.sock",
        "https://localhost%2f.evil.example/a.pdf",
    ] {
        let redirect = format!("HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n");
        let server = sends(redirect.into_bytes(), true).await;
        bench
            .assert_fails(location, &server, Category::Permanent, "redirected to a refused URL")
            .await;
        assert_eq!(server.connections(), 1, "{location}");
    }
}

#[tokio::test]
async fn redirects_end_after_five_hops() {
    let bench = Bench::new();
    for (hops, is_good) in [(1, true), (5, true), (6, false), (1_000_000, false)] {
        let server = RawServer::start(move |number, mut connection| async move {
            connection.request().await;
            let redirect = format!("HTTP/1.1 307 x\r\nLocation: /{number}.pdf\r\nConnection: close\r\n\r\n");
            let file = answer(&format!("Content-Length: {}\r\nConnection: close\r\n", PDF.len()), PDF);
            let is_last = number == hops;
            connection.send(if is_last { &file } else { redirect.as_bytes() }).await;
        })
        .await;
        let fetched = bench.fetch(&server).await;
        match fetched {
            Ok(_) => assert!(is_good, "{hops}"),
            Err(problem) => {
                assert!(!is_good, "{hops}: {}", problem.message());
                assert_eq!(problem.category, Category::Permanent);
                assert_eq!(problem.message(), "more than 5 redirects");
            }
        }
        assert_eq!(server.connections(), (hops + 1).min(6), "{hops}");
    }
}

/// Name, what is sent, and what becomes of it; the connection then stays open.
#[rustfmt::skip] // One answer a line.
fn wrong_answers() -> Vec<(&'static str, Vec<u8>, Category, &'static str)> {
    use Category::{Permanent, Transient, Unknown};
    let raw = |text: &str| text.as_bytes().to_vec();
    let headers = |headers: &str| answer(headers, PDF);
    let chunks = |body: &str| answer("Transfer-Encoding: chunked\r\n", body.as_bytes());
    vec![
        // The status line
        ("no HTTP", raw("SSH-2.0-OpenSSH_9.2\r\n"), Transient, "the request failed"),
        ("HTTP/0.9", PDF.to_vec(), Transient, "the request failed"),
        ("HTTP/2 without being asked", b"\0\0\x06\x04\0\0\0\0\0\0\x03\0\0\0\x64\0\0\x08\x07\0\0\0\0\0\0\0\0\0\0\0\0\0".to_vec(), Transient, "the request failed"),
        ("HTTP/2 in the status line", raw("HTTP/2.0 200 OK\r\n\r\n"), Transient, "the request failed"),
        ("a status of two digits", raw("HTTP/1.1 20 OK\r\n\r\n"), Transient, "the request failed"),
        ("a status that nobody knows", raw("HTTP/1.1 999 ?\r\nContent-Length: 0\r\n\r\n"), Unknown, "999"),
        ("an upgrade", raw("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"), Unknown, "101"),
        ("half of a file", raw("HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 0-4/9\r\nContent-Length: 5\r\n\r\n%PDF-"), Unknown, "206"),
        ("a redirect to nowhere", raw("HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n"), Permanent, "302 Found without a Location"),
        ("a redirect to nothing", raw("HTTP/1.1 302 Found\r\nLocation: \r\nContent-Length: 0\r\n\r\n"), Permanent, "302 Found without a Location"),
        // Lengths
        ("a length that is no number", headers("Content-Length: many\r\n"), Transient, "the request failed"),
        ("a negative length", headers("Content-Length: -1\r\n"), Transient, "the request failed"),
        ("a length of thirty digits", headers("Content-Length: 100000000000000000000000000000\r\n"), Transient, "the request failed"),
        ("two lengths", headers("Content-Length: 51\r\nContent-Length: 52\r\n"), Transient, "the request failed"),
        ("a length over the limit", headers("Content-Length: 9223372036854775807\r\n"), Permanent, "MAX_FILE_BYTES"),
        ("a length, and chunks that disagree", answer("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", b"9\r\n%PDF-1.7\n\r\n0\r\n\r\n"), Transient, "5 were announced"),
        ("no byte", answer("Content-Length: 0\r\n", b""), Permanent, "the file is empty"),
        ("no byte in chunks", chunks("0\r\n\r\n"), Permanent, "the file is empty"),
        // Chunks
        ("a chunk size that is no number", chunks("zz\r\n%PDF-"), Transient, "cut short"),
        ("a chunk of seventeen digits", chunks("FFFFFFFFFFFFFFFFF\r\n%PDF-"), Transient, "cut short"),
        ("a chunk that is longer than its size", chunks("5\r\n%PDF-1.7\r\n0\r\n\r\n"), Transient, "cut short"),
        ("a negative chunk", chunks("-5\r\n%PDF-"), Transient, "cut short"),
        ("a chunk extension without an end", chunks(&format!("5;{}", "x".repeat(500_000))), Transient, "cut short"),
        ("trailers without an end", chunks(&format!("5\r\n%PDF-\r\n0\r\n{}", "x: y\r\n".repeat(100_000))), Transient, "cut short"),
        // Where the body ends is said in two ways, or in none that can be trusted
        ("lengths in a list that differ", headers("Content-Length: 51, 52\r\n"), Transient, "the request failed"),
        ("a folded length of two numbers", headers("Content-Length: 5\r\n 1\r\n"), Transient, "the request failed"),
        ("a length in hexadecimal", headers("Content-Length: 0x33\r\n"), Transient, "the request failed"),
        ("an empty length", headers("Content-Length: \r\n"), Transient, "the request failed"),
        ("a length with a control character", headers("Content-Length: 5\x01\r\n"), Transient, "does not announce where its body ends"),
        ("a length under a broken name", headers("Content\x01-Length: 5\r\n"), Transient, "does not announce where its body ends"),
        ("a length without a colon", headers("Content-Length 5\r\n"), Transient, "does not announce where its body ends"),
        ("chunks with a control character", answer("Transfer-Encoding: chunked\x01\r\n", b"5\r\n%PDF-\r\n0\r\n\r\n"), Transient, "does not announce where its body ends"),
        ("chunks in HTTP/1.0", raw("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n%PDF-\r\n0\r\n\r\n"), Transient, "the request failed"),
        ("chunks that are not the last coding", answer("Transfer-Encoding: chunked, identity\r\n", PDF), Permanent, "transfer-encoding"),
        ("a folded coding of chunks", answer("Transfer-Encoding: gzip,\r\n chunked\r\n", b"5\r\n%PDF-\r\n0\r\n\r\n"), Permanent, "transfer-encoding"),
        ("a short body in spite of its coding", [answer("Content-Length: 500\r\nTransfer-Encoding: chunked\r\n", format!("{:x}\r\n", PDF.len()).as_bytes()), PDF.to_vec(), b"\r\n0\r\n\r\n".to_vec()].concat(), Transient, "500 were announced"),
        // Codings that are not undone
        ("brotli in capitals", headers("CONTENT-ENCODING: BR\r\n"), Permanent, "\"BR\""),
        ("zstd", headers("Content-Encoding: zstd\r\n"), Permanent, "\"zstd\""),
        ("compress", headers("Content-Encoding: compress\r\n"), Permanent, "\"compress\""),
        ("several codings", headers("Content-Encoding: identity, br\r\n"), Permanent, "\"identity, br\""),
        ("a second line of codings", headers("Content-Encoding: identity\r\nContent-Encoding: br\r\n"), Permanent, "content-encoding"),
        ("a coding that is not text", [b"HTTP/1.1 200 OK\r\nContent-Encoding: \xFF\r\n\r\n", PDF].concat(), Permanent, "content-encoding"),
        ("gzip on the way", answer("Transfer-Encoding: gzip, chunked\r\n", b"5\r\n%PDF-\r\n0\r\n\r\n"), Permanent, "transfer-encoding"),
        // Codings that are not what they say
        ("half of a gzip body", sized("Content-Encoding: gzip\r\n", &gzip(PDF)[..40]), Transient, "ends within its gzip coding"),
        ("a gzip body with a wrong check sum", sized("Content-Encoding: gzip\r\n", &{ let mut body = gzip(PDF); let at = body.len() - 8; body[at] ^= 1; body }), Permanent, "the gzip data is corrupt"),
        ("a gzip body shorter than announced", answer(&format!("Content-Encoding: gzip\r\nContent-Length: {}\r\nConnection: close\r\nTransfer-Encoding: identity\r\n", gzip(PDF).len() + 1), &gzip(PDF)), Transient, "the body"),
        ("no deflate", sized("Content-Encoding: deflate\r\n", PDF), Permanent, "the deflate data is corrupt"),
        ("frames that break off", sized("Content-Encoding: aws-chunked\r\n", &signed_frames(PDF, 20)[..150]), Transient, "ends within its aws-chunked coding"),
        ("an HTML page in gzip", sized("Content-Encoding: gzip\r\n", &gzip(b"<!DOCTYPE html><html><body>no</body></html>")), Permanent, "HTML"),
        ("a program in gzip", sized("Content-Encoding: gzip\r\n", &gzip(&[b"\x7FELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\x3E\0".as_slice(), &[0; 64]].concat())), Permanent, ""),
        ("nothing in gzip", sized("Content-Encoding: gzip\r\n", &gzip(b"")), Permanent, "the file is empty"),
        ("more than allowed in gzip", sized("Content-Encoding: gzip\r\n", &gzip(&[PDF, &[b' '; 1_000_000]].concat())), Permanent, "MAX_FILE_BYTES"),
        // Headers
        ("a header of two megabytes", headers(&format!("X: {}\r\n", "x".repeat(2_000_000))), Transient, "the request failed"),
        ("ten thousand headers", headers(&"X: y\r\n".repeat(10_000)), Transient, "the request failed"),
        ("NUL in a header", headers("X: \0\r\n"), Transient, "the request failed"),
        ("a carriage return in a header", headers("X: a\rb\r\n"), Transient, "the request failed"),
    ]
}

#[tokio::test]
async fn wrong_answers_end_in_their_category() {
    let bench = Bench::new();
    for (name, bytes, category, words) in wrong_answers() {
        let server = sends(bytes, true).await;
        bench.assert_fails(name, &server, category, words).await;
    }
}

#[tokio::test]
async fn floods_drips_and_silence_end_in_time() {
    let bench = Bench::with(IMPATIENT, None);
    let head = || answer("Content-Type: application/pdf\r\n", PDF);

    let endless = RawServer::start(move |_, mut connection| async move {
        connection.request().await;
        connection.send(&head()).await;
        connection.send_for_ever(&[b'x'; 65_536]).await;
    })
    .await;
    bench
        .assert_fails("an endless body", &endless, Category::Permanent, "MAX_FILE_BYTES")
        .await;

    let endless = RawServer::start(|_, mut connection| async move {
        connection.request().await;
        connection
            .send(&answer("Transfer-Encoding: chunked\r\n", b"9\r\n%PDF-1.7\n\r\n"))
            .await;
        connection.send_for_ever(b"1\r\nx\r\n").await;
    })
    .await;
    let problem = bench.fetch(&endless).await.unwrap_err();
    // A byte a chunk: on a slow machine the time is over before the size.
    assert!(
        problem.message().contains("MAX_FILE_BYTES") || problem.message().contains("too slow"),
        "{}",
        problem.message()
    );

    for (name, flood) in [
        ("100 Continue for ever", &b"HTTP/1.1 100 Continue\r\n\r\n"[..]),
        (
            "early hints for ever",
            b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n",
        ),
        ("empty lines for ever", b"\r\n"),
    ] {
        let server = RawServer::start(move |_, mut connection| async move {
            connection.request().await;
            connection.send_for_ever(flood).await;
        })
        .await;
        bench.assert_fails(name, &server, Category::Transient, "").await;
    }

    // Each piece comes before the connection counts as idle.
    for (name, first, words) in [
        ("a status line, drop by drop", Vec::new(), "no answer in time"),
        (
            "a header, drop by drop",
            b"HTTP/1.1 200 OK\r\nX: ".to_vec(),
            "no answer in time",
        ),
        ("a body, drop by drop", head(), "too slow"),
    ] {
        let server = RawServer::start(move |_, mut connection| {
            let first = first.clone();
            async move {
                connection.request().await;
                connection.send(&first).await;
                while connection.send(b"H").await {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        })
        .await;
        bench.assert_fails(name, &server, Category::Transient, words).await;
    }

    let silent = RawServer::start(|_, mut connection| async move { connection.hold().await }).await;
    bench
        .assert_fails("silence", &silent, Category::Transient, "no answer in time")
        .await;
    let half = sends(answer("Content-Length: 500\r\n", PDF), true).await;
    bench
        .assert_fails(
            "half, and silence",
            &half,
            Category::Transient,
            "the body stopped coming",
        )
        .await;
}

#[tokio::test]
async fn an_answer_that_is_cut_at_any_byte_is_no_file() {
    let whole = answer(&format!("Content-Length: {}\r\n", PDF.len()), PDF);
    for (reads_request, how) in [(true, "closed"), (false, "reset")] {
        let bench = Bench::new();
        let length = Arc::new(AtomicUsize::new(0));
        let server = RawServer::start({
            let (whole, length) = (whole.clone(), Arc::clone(&length));
            move |_, mut connection| {
                let piece = whole[..length.load(Ordering::SeqCst)].to_vec();
                async move {
                    // With the request still unread the system resets the connection instead of closing it.
                    if reads_request {
                        connection.request().await;
                    }
                    connection.send(&piece).await;
                }
            }
        })
        .await;
        for bytes in 0..whole.len() {
            length.store(bytes, Ordering::SeqCst);
            let name = format!("{how} after {bytes} bytes");
            bench.assert_fails(&name, &server, Category::Transient, "").await;
        }
        if reads_request {
            length.store(whole.len(), Ordering::SeqCst);
            assert_eq!(bench.fetch(&server).await.unwrap().bytes, PDF.len() as u64);
        }
        assert!(server.connections() >= whole.len(), "{how}");
    }
}

#[tokio::test]
async fn real_files_of_every_extension_arrive_whole() {
    let folder = tokio::task::spawn_blocking(xact_testkit::real_files::folder)
        .await
        .unwrap()
        .unwrap();
    // The path says which file: `/EXTENSION/NAME`.
    let root = folder.join("accepted");
    let served = root.clone();
    let server = RawServer::start(move |_, mut connection| {
        let served = served.clone();
        async move {
            let request = connection.request().await;
            let path = request.split(' ').nth(1).unwrap_or_default();
            let path = percent_encoding::percent_decode_str(path).decode_utf8_lossy();
            let file = std::fs::read(served.join(path.trim_start_matches('/'))).unwrap();
            let headers = format!("Content-Length: {}\r\nConnection: close\r\n", file.len());
            connection.send(&answer(&headers, &file)).await;
        }
    })
    .await;
    let bench = Bench::new();
    let mut extensions = 0;
    for extension in std::fs::read_dir(&root).unwrap().flatten() {
        extensions += 1;
        for file in std::fs::read_dir(extension.path()).unwrap().flatten() {
            let bytes = file.metadata().unwrap().len();
            let mut url = Url::parse(&format!("http://localhost:{}/", server.port)).unwrap();
            let names = [extension.file_name(), file.file_name()];
            let names = names.iter().map(|name| name.to_str().unwrap());
            url.path_segments_mut().unwrap().clear().extend(names);
            // Small ones: the others are the content rules' tests.
            if bytes > MAX_FILE_BYTES {
                continue;
            }
            let cached = bench.fetch_url(url.as_str()).await;
            let cached = cached.unwrap_or_else(|problem| panic!("{url}: {}", problem.message()));
            assert_eq!(cached.bytes, bytes, "{url}");
        }
    }
    assert_eq!(extensions, 24);
}

/// A server that sends one file with these headers, in so many pieces.
async fn serves(headers: &str, body: &[u8], pieces: usize) -> RawServer {
    let head = answer(&format!("Content-Length: {}\r\n{headers}", body.len()), b"");
    let body = body.to_vec();
    RawServer::start(move |_, mut connection| {
        let (head, body) = (head.clone(), body.clone());
        async move {
            connection.request().await;
            connection.send(&head).await;
            for piece in body.chunks(body.len().div_ceil(pieces)) {
                connection.send(piece).await;
            }
            connection.hold().await;
        }
    })
    .await
}

#[tokio::test]
async fn the_content_decides_and_the_difference_is_known() {
    let bench = Bench::new();
    let heic = [&b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"[..], &[7; 200_000]].concat();
    let workbook = b"\x09\x08\x10\0\0\x06\x05\0\xBB\x0D\xCC\x07\0\0\0\0\x06\0\0\0".to_vec();
    let pdf = PDF.to_vec();
    // The name, headers, content; the type in messages, the media type, and what is kept of the declared one.
    for (name, headers, body, file_type, content_type, declared) in [
        (
            "a.jpg",
            "Content-Type: image/jpeg\r\n",
            &heic,
            "HEIC",
            "image/heic",
            Some("image/jpeg"),
        ),
        (
            "a.heif",
            "Content-Type: image/heif\r\n",
            &heic,
            "HEIC",
            "image/heic",
            None,
        ),
        (
            "a.pdf",
            "Content-Type: text/html\r\n",
            &pdf,
            "PDF",
            "application/pdf",
            Some("text/html"),
        ),
        (
            "a.pdf",
            "Content-Type: \"application/pdf\", application/pdf\r\n",
            &pdf,
            "PDF",
            "application/pdf",
            None,
        ),
        ("a.pdf", "", &pdf, "PDF", "application/pdf", None),
        (
            "a.pdf",
            "Content-Type: application/x-www-form-urlencoded\r\n",
            &pdf,
            "PDF",
            "application/pdf",
            None,
        ),
        (
            "a.xls",
            "Content-Type: application/vnd.ms-office\r\n",
            &workbook,
            "XLS",
            "application/vnd.ms-excel",
            None,
        ),
        (
            "123e4567",
            "Content-Type: binary/octet-stream\r\n",
            &heic,
            "HEIC",
            "image/heic",
            None,
        ),
        ("download.ashx?id=7", "", &pdf, "PDF", "application/pdf", None),
    ] {
        for pieces in [1, 7] {
            let server = serves(headers, body, pieces).await;
            let url = format!("http://localhost:{}/{name}", server.port);
            let (cached, judged) = bench.judge_url(&url).await.unwrap();
            let case = format!("{name} {headers}");
            assert_eq!(cached.kind.file_type.as_deref(), Some(file_type), "{case}");
            assert_eq!(cached.kind.content_type.as_deref(), Some(content_type), "{case}");
            assert_eq!(cached.kind.declared_content_type.as_deref(), declared, "{case}");
            assert_eq!(judged.differs(), declared.is_some(), "{case}");
            assert_eq!(cached.bytes, body.len() as u64);
        }
    }
}

#[tokio::test]
async fn the_answer_names_a_file_that_its_url_does_not() {
    let bench = Bench::new();
    let csv = b"claim,room\r\n1,roof\r\n";
    for (path, disposition, expected) in [
        ("123e4567", "attachment; filename=\"claims.csv\"", Some("CSV")),
        (
            "123e4567",
            "attachment; filename*=UTF-8''claims%20%C3%BC.txt",
            Some("TXT"),
        ),
        ("get.aspx?id=1", "inline; filename=Gr\u{f6}\u{df}e.csv", Some("CSV")),
        // The URL's own name counts before it.
        ("a.txt", "attachment; filename=claims.csv", Some("TXT")),
        ("123e4567", "attachment; filename=claims.json", None),
        ("123e4567", "attachment; filename=claims.exe", None),
        ("123e4567", "attachment", None),
    ] {
        let server = serves(&format!("Content-Disposition: {disposition}\r\n"), csv, 1).await;
        let url = format!("http://localhost:{}/{path}", server.port);
        let found = bench.fetch_url(&url).await;
        match (found, expected) {
            (Ok(cached), Some(expected)) => {
                assert_eq!(cached.kind.file_type.as_deref(), Some(expected), "{path} {disposition}");
            }
            (Err(problem), None) => {
                assert_eq!(problem.category, Category::Permanent);
                assert!(
                    problem.message().contains("first bytes"),
                    "{disposition}: {}",
                    problem.message()
                );
            }
            (found, _) => panic!("{path} {disposition}: {found:?}"),
        }
    }
    // A name does not make a file of a page or a program.
    for body in [&b"<html>Sign in</html>"[..], b"MZ\x90\0\x03\0\0\0"] {
        let server = serves("Content-Disposition: attachment; filename=roof.pdf\r\n", body, 1).await;
        let problem = bench
            .fetch_url(&format!("http://localhost:{}/123e", server.port))
            .await
            .unwrap_err();
        assert_eq!(problem.category, Category::Permanent, "{}", problem.message());
    }
}

#[tokio::test]
async fn bytes_behind_the_announced_end_never_reach_another_file() {
    let forged = answer("Content-Length: 12\r\n", b"%PDF-forged!");
    let mut first = answer(&format!("Content-Length: {}\r\n", PDF.len()), PDF);
    first.extend_from_slice(&forged);
    let server = sends(first, true).await;
    let bench = Bench::new();
    for number in 1..=3 {
        let cached = bench.fetch(&server).await.unwrap();
        assert_eq!(cached.bytes, PDF.len() as u64, "file {number}");
        assert_eq!(server.connections(), number, "such a connection is not used again");
    }
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

/// Sends a file without a length and drops the connection without the end that TLS has for it.
async fn send_without_length(_: usize, mut connection: Connection) {
    connection.request().await;
    connection.send(&answer("Connection: close\r\n", PDF)).await;
}

#[tokio::test]
async fn tls_tells_a_cut_from_an_end_and_a_stranger_from_the_host() {
    // Neither a length nor chunks: only TLS itself could say that this is the end.
    let (config, pem) = tls("localhost", &[b"http/1.1"]);
    let server = RawServer::start_tls(config, send_without_length).await;
    let problem = Bench::with(PATIENT, Some(&pem))
        .fetch_url(&format!("https://localhost:{}/a.pdf", server.port))
        .await
        .unwrap_err();
    assert_eq!(problem.category, Category::Transient);
    assert!(problem.message().contains("close_notify"), "{}", problem.message());

    let trusted = |name: &str, protocols: &[&[u8]]| {
        let (config, pem) = tls(name, protocols);
        (config, Some(pem))
    };
    let stranger = || (tls("localhost", &[]).0, None);
    for (name, (config, pem), words) in [
        ("only HTTP/2", trusted("localhost", &[b"h2"]), "NoApplicationProtocol"),
        (
            "another host's certificate",
            trusted("elsewhere.example", &[]),
            "not valid for name",
        ),
        ("a certificate that nobody vouches for", stranger(), "UnknownIssuer"),
    ] {
        let server = RawServer::start_tls(config, send_without_length).await;
        let problem = Bench::with(PATIENT, pem.as_deref())
            .fetch_url(&format!("https://localhost:{}/a.pdf", server.port))
            .await
            .unwrap_err();
        assert_eq!(problem.category, Category::Transient, "{name}");
        assert!(problem.message().contains(words), "{name}: {}", problem.message());
    }
}

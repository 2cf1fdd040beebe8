//! Hostile answers: each ends in its category within its time, and leaves nothing behind.

use super::coding::tests::{gzip, signed_frames};
use super::raw_server::{Connection, RawServer};
use super::*;
use contracts::file_rules;
use runtime::config::Environment;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use uuid::Uuid;
use xact_cache::Cache;

const MAX_FILE_BYTES: u64 = 1_000_000;
/// A small PDF, as far as the rules look.
const PDF: &[u8] = b"%PDF-1.7\n1 0 obj\n<< >>\nendobj\ntrailer\n<< >>\n%%EOF\n";

const PDF_SHA256: &str = "026bb3d8af9ab1e1e2ec9d63dc3712e17cd9105dae94ea981e1f2b7aa8b2fa36";

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

    async fn fetch_url(&self, url: &str) -> Result<Cached, Problem> {
        let url = self.policy.check(url).unwrap();
        let file_type = file_rules::allowed_type(&url).unwrap();
        let slot = self.cache.slot(Uuid::new_v4()).await;
        let fetch = self.fetcher.fetch(&self.policy, url, file_type, &slot);
        let fetched = tokio::time::timeout(IN_TIME, fetch).await.expect("it ends in time");
        fetched.map_err(|error| match error {
            FetchError::Refused { problem, .. } => problem,
            FetchError::Cache(error) => panic!("{error}"),
        })
    }

    async fn fetch(&self, server: &RawServer) -> Result<Cached, Problem> {
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
        ("a coding that is no text", [b"HTTP/1.1 200 OK\r\nContent-Encoding: \xFF\r\n\r\n", PDF].concat(), Permanent, "content-encoding"),
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

/// Name and answer; the connection then stays open. Each is a whole PDF.
#[rustfmt::skip] // One answer a line.
fn odd_answers() -> Vec<(&'static str, Vec<u8>)> {
    let headers = |headers: &str| sized(headers, PDF);
    vec![
        ("a coding without a name", headers("Content-Encoding:\r\n")),
        ("a blank coding", headers("Content-Encoding:  \r\n")),
        ("identity", headers("Content-Encoding: identity\r\n")),
        ("utf-8", headers("Content-Encoding: UTF-8\r\n")),
        ("another character set", headers("Content-Encoding: ISO-8859-1\r\n")),
        ("base64 that is none", headers("Content-Encoding: base64\r\n")),
        ("aws-chunked on a plain body", headers("Content-Encoding: aws-chunked\r\n")),
        ("aws-chunked with its frames", sized("Content-Encoding: aws-chunked\r\n", &signed_frames(PDF, 20))),
        ("gzip", sized("Content-Encoding: gzip\r\n", &gzip(PDF))),
        ("gzip of two members", sized("Content-Encoding: x-gzip\r\n", &[gzip(&PDF[..9]), gzip(&PDF[9..])].concat())),
        ("gzip and zeros behind it", sized("Content-Encoding: gzip\r\n", &[gzip(PDF), vec![0; 100]].concat())),
        ("gzip in frames", sized("Content-Encoding: aws-chunked,gzip\r\n", &signed_frames(&gzip(PDF), 8))),
        ("gzip on two lines with utf-8", sized("Content-Encoding: utf-8\r\nContent-Encoding: gzip\r\n", &gzip(PDF))),
        ("gzip on a plain body", headers("Content-Encoding: gzip\r\n")),
        ("gzip in chunks", [answer("Content-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n", format!("{:x}\r\n", gzip(PDF).len()).as_bytes()), gzip(PDF), b"\r\n0\r\n\r\n".to_vec()].concat()),
        ("a length twice in one line", headers(&format!("Content-Length: {0}, {0}\r\n", PDF.len()))),
        ("a length twice", headers(&format!("Content-Length: {}\r\n", PDF.len()))),
        ("a folded length", answer(&format!("Content-Length:\r\n  {}\r\n", PDF.len()), PDF)),
        ("a length and spaces", answer(&format!("Content-Length  :   {}  \r\n", PDF.len()), PDF)),
        ("folded chunks", [answer("Transfer-Encoding:\r\n chunked\r\n", format!("{:x}\r\n", PDF.len()).as_bytes()), PDF.to_vec(), b"\r\n0\r\n\r\n".to_vec()].concat()),
        ("a folded header", headers("X: y\r\n\tz\r\n")),
        ("a folded header of many lines", headers("Content-Security-Policy: a;\r\n  b;\r\n  c\r\n")),
        ("a space before the colon", headers("Server : old\r\n")),
        ("a header without a name", headers(": y\r\n")),
        ("a header without a colon", headers("PHP Warning\r\n")),
        ("a PHP warning", headers("PHP Warning: PHP Startup: Unable to load '/usr/lib/x.so' in Unknown on line 0\r\n")),
        ("a document type as a header", headers("<!DOCTYPE html PUBLIC: \"-//W3C//DTD\"\r\n")),
        ("a control character in a cookie", headers("Set-Cookie: a=dmo\x01OZPF; path=/\r\n")),
        ("a DEL in a cookie", headers("Set-Cookie: domain=\x7fwww\r\n")),
        ("letters of another alphabet in a name", headers("X-Größe: 1\r\n")),
        ("Latin-1 in a value", [b"HTTP/1.1 200 OK\r\nX: Gr\xF6\xDFe\r\n", format!("Content-Length: {}\r\n\r\n", PDF.len()).as_bytes(), PDF].concat()),
        ("lines that end in LF alone", [b"HTTP/1.1 200 OK\nX: y\n", format!("Content-Length: {}\n\n", PDF.len()).as_bytes(), PDF].concat()),
        ("a status line without a reason", [b"HTTP/1.1 200\r\n", format!("Content-Length: {}\r\n\r\n", PDF.len()).as_bytes(), PDF].concat()),
    ]
}

#[tokio::test]
async fn odd_answers_are_the_file_that_they_hold() {
    let bench = Bench::new();
    for (name, bytes) in odd_answers() {
        let server = sends(bytes, true).await;
        let fetched = bench.fetch(&server).await;
        let cached = fetched.unwrap_or_else(|problem| panic!("{name}: {}", problem.message()));
        assert_eq!(cached.bytes, PDF.len() as u64, "{name}");
        assert_eq!(cached.sha256, PDF_SHA256, "{name}");
    }
}

#[tokio::test]
async fn a_bomb_ends_at_its_ratio_long_before_its_size() {
    let bench = Bench::with_settings(PATIENT, None, &[("MAX_FILE_BYTES", "1000000000000")]);
    let zeros = vec![b' '; 32 * 1024 * 1024];
    let bomb = gzip(&[PDF, &zeros].concat());
    let server = sends(sized("Content-Encoding: gzip\r\n", &bomb), true).await;
    bench
        .assert_fails("a bomb", &server, Category::Permanent, "more than 200 times as many")
        .await;
    // As much of it as is judged by its size alone.
    let small = gzip(
        &[
            PDF,
            &zeros[..usize::try_from(body::UNJUDGED_RATIO_BYTES).unwrap() - PDF.len()],
        ]
        .concat(),
    );
    let server = sends(sized("Content-Encoding: gzip\r\n", &small), true).await;
    assert_eq!(bench.fetch(&server).await.unwrap().bytes, body::UNJUDGED_RATIO_BYTES);
}

/// A server that answers so many requests on each connection, and then closes it when the next one comes.
async fn closes_after(requests: usize, resets: bool) -> RawServer {
    RawServer::start(move |_, mut connection| async move {
        for _ in 0..requests {
            if connection.request().await.is_empty() {
                return;
            }
            connection.send(&sized("", PDF)).await;
        }
        // The first byte of the next request; with the rest unread the system resets the connection.
        match resets {
            true => connection.byte().await,
            false => drop(connection.request().await),
        }
    })
    .await
}

#[tokio::test]
async fn a_kept_connection_that_is_closed_when_it_is_used_again_costs_no_attempt() {
    for resets in [false, true] {
        let bench = Bench::new();
        let server = closes_after(1, resets).await;
        for number in 1..=6 {
            let cached = bench.fetch(&server).await;
            let cached = cached.unwrap_or_else(|problem| panic!("{number}: {}", problem.message()));
            assert_eq!(cached.bytes, PDF.len() as u64);
        }
        // First kept and second new connection by turns; the new ones of a second attempt are not kept.
        assert_eq!(server.connections(), 6, "resets: {resets}");
    }
}

#[tokio::test]
async fn a_kept_tls_connection_that_is_cut_costs_no_attempt() {
    let (config, pem) = tls("localhost", &[b"http/1.1"]);
    let server = RawServer::start_tls(config, |_, mut connection| async move {
        connection.request().await;
        connection.send(&sized("", PDF)).await;
        connection.request().await;
    })
    .await;
    let bench = Bench::with(PATIENT, Some(&pem));
    let url = format!("https://localhost:{}/a.pdf", server.port);
    for _ in 0..4 {
        assert_eq!(bench.fetch_url(&url).await.unwrap().bytes, PDF.len() as u64);
    }
}

#[tokio::test]
async fn a_request_is_repeated_once_and_only_where_a_connection_may_have_been_kept() {
    let bench = Bench::new();
    // A host that has never answered: there is nothing to ask again.
    let server = RawServer::start(|_, mut connection| async move { drop(connection.request().await) }).await;
    bench
        .assert_fails("never answers", &server, Category::Transient, "the request failed")
        .await;
    assert_eq!(server.connections(), 1);
    // One that answers once: the second attempt fails as well, and is the last.
    let server = RawServer::start(|number, mut connection| async move {
        connection.request().await;
        if number == 0 {
            connection.send(&sized("", PDF)).await;
            connection.request().await;
        }
    })
    .await;
    assert!(bench.fetch(&server).await.is_ok());
    bench
        .assert_fails("answers once", &server, Category::Transient, "the request failed")
        .await;
    assert_eq!(server.connections(), 2);
    // One whose answers are never readable.
    let server = sends(b"SSH-2.0-OpenSSH_9.2\r\n".to_vec(), true).await;
    bench
        .assert_fails(
            "speaks another language",
            &server,
            Category::Transient,
            "the request failed",
        )
        .await;
    assert_eq!(server.connections(), 2);
}

#[tokio::test]
async fn a_second_attempt_has_no_time_of_its_own() {
    let bench = Bench::with(
        TimeLimits {
            base: Duration::from_secs(2),
            ..PATIENT
        },
        None,
    );
    let server = RawServer::start(|number, mut connection| async move {
        connection.request().await;
        if number == 0 {
            connection.send(&sized("", PDF)).await;
            connection.request().await;
            return;
        }
        connection.hold().await;
    })
    .await;
    assert!(bench.fetch(&server).await.is_ok());
    let started = Instant::now();
    bench
        .assert_fails("then silent", &server, Category::Transient, "none within 2 s")
        .await;
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
    assert_eq!(server.connections(), 2);
}

#[tokio::test]
async fn the_same_text_is_checked_and_fetched() {
    for (location, path) in [
        (&b"/Roof photo 1.pdf"[..], "/Roof%20photo%201.pdf"),
        ("/größe.pdf".as_bytes(), "/gr%C3%B6%C3%9Fe.pdf"),
        (b"/Gr\xF6\xDFe.pdf", "/Gr%F6%DFe.pdf"),
        (b"b c.pdf?x=d e", "/b%20c.pdf?x=d%20e"),
        (b"/a%20b.pdf", "/a%20b.pdf"),
    ] {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let server = RawServer::start({
            let (seen, location) = (Arc::clone(&seen), location.to_vec());
            move |number, mut connection: Connection| {
                let (seen, location) = (Arc::clone(&seen), location.clone());
                async move {
                    let request = connection.request().await;
                    let path = request.split(' ').nth(1).unwrap_or_default().to_owned();
                    seen.lock().unwrap().push(path);
                    let redirect = [
                        b"HTTP/1.1 302 Found\r\nConnection: close\r\nContent-Length: 0\r\nLocation: ",
                        &location[..],
                        b"\r\n\r\n",
                    ];
                    let file = sized("Connection: close\r\n", PDF);
                    connection
                        .send(if number == 0 { redirect.concat() } else { file }.as_slice())
                        .await;
                }
            }
        })
        .await;
        let first = format!("http://localhost:{}/first file ü.pdf", server.port);
        let cached = Bench::new().fetch_url(&first).await;
        assert!(
            cached.is_ok(),
            "{path}: {:?}",
            cached.err().map(|problem| problem.message().to_owned())
        );
        assert_eq!(*seen.lock().unwrap(), ["/first%20file%20%C3%BC.pdf", path]);
    }
}

/// Status, headers, body and query of the URL, and what becomes of it.
#[rustfmt::skip] // One answer a line.
fn service_errors() -> Vec<(&'static str, &'static str, String, String, Category, &'static str)> {
    use Category::{Auth, Permanent, Transient};
    let s3 = |code: &str, message: &str| format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>{message}</Message><RequestId>1</RequestId></Error>");
    let none = String::new;
    let from_now = |minutes: i64| Timestamp::now().checked_add(jiff::SignedDuration::from_mins(minutes)).unwrap();
    let azure = |start: i64| format!("st={:.0}&se={:.0}&sig=SECRET", from_now(start), from_now(60));
    let signed = |start: i64| format!("X-Amz-Date={}&X-Amz-Expires=7200&X-Amz-Signature=SECRET", from_now(start).strftime("%Y%m%dT%H%M%SZ"));
    vec![
        ("400 Bad Request", "", s3("RequestTimeout", "Your socket connection was not read from"), none(), Transient, "400 Bad Request (S3 RequestTimeout)"),
        ("400 Bad Request", "", s3("SlowDown", "Please reduce your request rate."), none(), Transient, "(S3 SlowDown)"),
        ("503 Slow Down", "", s3("SlowDown", ""), none(), Transient, "(S3 SlowDown)"),
        ("409 Conflict", "", s3("OperationAborted", ""), none(), Transient, "(S3 OperationAborted)"),
        ("403 Forbidden", "", s3("RequestTimeTooSkewed", ""), none(), Transient, "(S3 RequestTimeTooSkewed)"),
        ("500 Internal Server Error", "", s3("InternalError", ""), none(), Transient, "(S3 InternalError)"),
        ("412 Precondition Failed", "x-ms-error-code: ServerBusy\r\n", none(), none(), Transient, "(Azure ServerBusy)"),
        ("409 Conflict", "x-ms-error-code: BlobArchived\r\n", none(), none(), Permanent, "(Azure BlobArchived)"),
        ("403 Forbidden", "", s3("AccessDenied", "Access Denied"), none(), Permanent, "(S3 AccessDenied)"),
        ("403 Forbidden", "", s3("AccessDenied", "Request has expired"), none(), Permanent, "has expired; the source must send the event anew"),
        ("400 Bad Request", "", s3("ExpiredToken", "The provided token has expired."), none(), Permanent, "credentials that signed the URL have expired"),
        ("403 Forbidden", "", s3("InvalidObjectState", ""), none(), Permanent, "archived"),
        ("404 Not Found", "", s3("NoSuchKey", ""), none(), Permanent, "404 Not Found (S3 NoSuchKey)"),
        ("404 Not Found", "", "<html>SlowDown</html>".to_owned(), none(), Permanent, "404 Not Found"),
        ("400 Bad Request", "", format!("{}{}", "x".repeat(9000), s3("SlowDown", "")), none(), Permanent, "400 Bad Request"),
        ("400 Bad Request", "", s3("https://evil.example/?sig=SECRET", ""), none(), Permanent, "400 Bad Request"),
        ("401 Unauthorized", "", s3("SlowDown", ""), none(), Auth, "(S3 SlowDown)"),
        ("301 Moved Permanently", "x-amz-bucket-region: eu-west-1\r\n", s3("PermanentRedirect", ""), none(), Permanent, "without a Location (S3 PermanentRedirect): the bucket is in region `eu-west-1`"),
        ("307 Temporary Redirect", "", s3("TemporaryRedirect", ""), none(), Permanent, "(S3 TemporaryRedirect)"),
        ("301 Moved Permanently", "x-amz-bucket-region: <script>\r\n", none(), none(), Permanent, "301 Moved Permanently without a Location"),
        ("400 Bad Request", "", "<Error><Code>AuthorizationQueryParametersError</Code><Region>us-west-1</Region></Error>".to_owned(), none(), Permanent, "region `us-west-1`"),
        // Not valid yet by the service's clock, or by ours
        ("403 Forbidden", "", s3("AccessDenied", "Request is not valid yet"), signed(-1), Transient, "may not be so yet"),
        ("403 Forbidden", "", s3("AccessDenied", "Access Denied"), signed(-1), Permanent, "(S3 AccessDenied)"),
        ("403 Forbidden", "", s3("AccessDenied", "Access Denied"), signed(5), Transient, "may not be so yet"),
        ("403 Forbidden", "x-ms-error-code: AuthenticationFailed\r\n", none(), azure(-1), Transient, "may not be so yet"),
        ("403 Forbidden", "x-ms-error-code: AuthenticationFailed\r\n", none(), azure(-20), Permanent, "(Azure AuthenticationFailed)"),
        ("403 Forbidden", "x-ms-error-code: AuthorizationPermissionMismatch\r\n", none(), azure(-1), Permanent, "does not permit reading"),
        ("403 Forbidden", "", s3("SignatureDoesNotMatch", ""), signed(5), Permanent, "(S3 SignatureDoesNotMatch)"),
        ("403 Forbidden", "", none(), azure(-1), Transient, "may not be so yet"),
        ("404 Not Found", "x-ms-error-code: BlobNotFound\r\n", none(), azure(-1), Permanent, "(Azure BlobNotFound)"),
    ]
}

#[tokio::test]
async fn errors_of_storage_services_are_told_apart_by_their_codes() {
    let bench = Bench::new();
    for (status, headers, body, query, category, words) in service_errors() {
        for holds in [true, false] {
            // Without a length the body ends with the connection, or with our patience.
            let length = if holds {
                format!("Content-Length: {}\r\n", body.len())
            } else {
                String::new()
            };
            let server = sends(
                format!("HTTP/1.1 {status}\r\n{headers}{length}\r\n{body}").into_bytes(),
                holds,
            )
            .await;
            let fetched = bench
                .fetch_url(&format!("http://localhost:{}/a.pdf?{query}", server.port))
                .await;
            let problem = fetched.expect_err(status);
            assert_eq!(problem.category, category, "{status} {body}: {}", problem.message());
            assert!(
                problem.message().contains(words),
                "{status} {body}: {}",
                problem.message()
            );
            assert!(!problem.message().contains("SECRET"), "{}", problem.message());
        }
    }
}

#[tokio::test]
async fn a_signature_that_did_not_follow_a_redirect_is_told() {
    let (config, pem) = tls("claimxperience.com,www.claimxperience.com", &[b"http/1.1"]);
    let server = RawServer::start_tls(config, |_, mut connection| async move {
        let request = connection.request().await;
        let answer = match request.contains("host: www.") {
            true => "HTTP/1.1 403 Forbidden\r\nContent-Length: 48\r\n\r\n<Error><Code>SignatureDoesNotMatch</Code></Error>",
            false => "HTTP/1.1 307 Temporary Redirect\r\nContent-Length: 0\r\nLocation: https://www.claimxperience.com/a.pdf?X-Amz-Date=20200101T000000Z&X-Amz-Expires=999999999&X-Amz-Signature=SECRET\r\n\r\n",
        };
        connection.send(answer.as_bytes()).await;
    })
    .await;
    let resolve =
        ["claimxperience.com", "www.claimxperience.com"].map(|host| format!("{host}=127.0.0.1:{}", server.port));
    let bench = Bench::with_settings(PATIENT, Some(&pem), &[("DEV_RESOLVE", resolve.join(",").as_str())]);
    let problem = bench.fetch_url("https://claimxperience.com/a.pdf").await.unwrap_err();
    assert_eq!(problem.category, Category::Permanent);
    assert!(
        problem
            .message()
            .contains("(S3 SignatureDoesNotMatch); this was after a redirect to another host"),
        "{}",
        problem.message()
    );
    assert!(!problem.message().contains("SECRET"));
}

#[tokio::test]
async fn an_error_whose_body_never_ends_is_an_error_in_time() {
    let bench = Bench::with(IMPATIENT, None);
    let server = RawServer::start(|_, mut connection| async move {
        connection.request().await;
        connection.send(b"HTTP/1.1 404 Not Found\r\n\r\n").await;
        connection.send_for_ever(&[b'x'; 1000]).await;
    })
    .await;
    bench.assert_fails("endless", &server, Category::Permanent, "404").await;
    let server = sends(
        b"HTTP/1.1 400 Bad Request\r\nContent-Length: 500\r\n\r\n<Error><Code>SlowDown</Code>".to_vec(),
        true,
    )
    .await;
    bench
        .assert_fails("silent", &server, Category::Transient, "SlowDown")
        .await;
}

#[tokio::test]
async fn real_files_of_every_extension_arrive_whole() {
    let folder = tokio::task::spawn_blocking(harness::real_files::folder)
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
    assert_eq!(extensions, 22);
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

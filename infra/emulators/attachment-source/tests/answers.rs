//! The server's answers over HTTP and HTTPS to an ordinary HTTP client.
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::time::{Duration, Instant};

use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, Response, StatusCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use attachment_source::{
    AttachmentSource, Certificate as Given, CertificateError, Fault, Options, StartError, content_for,
};

const HOST: &str = "claimxperience.com";

struct Fixture {
    source: AttachmentSource,
    client: Client,
}

impl Fixture {
    async fn start() -> Self {
        let options = Options {
            https_hosts: vec![HOST.into()],
            ..Options::default()
        };
        let source = AttachmentSource::start(options).await.unwrap();
        let client = client(source.ca_pem(), &source);
        Self { source, client }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.source.http_addr())
    }

    async fn get(&self, path: &str) -> Response {
        self.client.get(self.url(path)).send().await.unwrap()
    }

    async fn status(&self, path: &str) -> u16 {
        self.get(path).await.status().as_u16()
    }

    /// Asserts that the path serves its file.
    async fn assert_file(&self, path: &str) {
        let response = self.get(path).await;
        let expected = content_for(path);
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        assert_eq!(header(&response, "content-type"), expected.content_type, "{path}");
        assert_eq!(response.content_length(), Some(expected.size()), "{path}");
        assert_body(response, path).await;
    }

    /// Sends a request without an HTTP client, and returns everything until the server closes the connection.
    async fn raw(&self, path: &str) -> Vec<u8> {
        let mut stream = TcpStream::connect(self.source.http_addr()).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        // A reset counts as a close.
        let _ = stream.read_to_end(&mut answer).await;
        answer
    }
}

/// A client that trusts only one authority, follows no redirect, and resolves [`HOST`] to the server.
fn client(authority: &str, source: &AttachmentSource) -> Client {
    let ca = Certificate::from_pem(authority.as_bytes()).unwrap();
    Client::builder()
        .tls_certs_only([ca])
        .redirect(Policy::none())
        .resolve(HOST, source.https_addr())
        .no_proxy()
        .build()
        .unwrap()
}

fn header<'a>(response: &'a Response, name: &str) -> &'a str {
    response.headers().get(name).map_or("", |value| value.to_str().unwrap())
}

/// Asserts that the body is the file of the path.
async fn assert_body(response: Response, path: &str) {
    assert!(
        response.bytes().await.unwrap() == content_for(path).to_bytes(),
        "{path}"
    );
}

#[tokio::test]
async fn files_are_served_over_http_and_https_as_content_for_returns_them() {
    let fixture = Fixture::start().await;
    let port = fixture.source.https_addr().port();
    for extension in [
        "pdf", "jpg", "png", "gif", "txt", "csv", "docx", "xlsx", "mov", "mp4", "json", "xml", "html", "esx",
    ] {
        for size in [0, 10_240, 1_000_003] {
            let path = format!("/ok/{size}/u/file.{extension}");
            fixture.assert_file(&path).await;
            for host in ["localhost", "127.0.0.1", HOST] {
                let request = fixture.client.get(format!("https://{host}:{port}{path}"));
                assert_body(request.send().await.unwrap(), &path).await;
            }
        }
    }
    assert_eq!(fixture.source.requests(), 14 * 3 * 4);
}

#[tokio::test]
async fn a_client_that_does_not_trust_the_authority_cannot_connect() {
    let fixture = Fixture::start().await;
    let other = AttachmentSource::start(Options::default()).await.unwrap();
    let url = format!("https://localhost:{}/a.pdf", fixture.source.https_addr().port());
    let refused = client(other.ca_pem(), &other).get(url).send().await;
    assert!(refused.unwrap_err().is_connect());
}

#[tokio::test]
async fn escapes_in_the_path_are_decoded_and_the_query_is_ignored() {
    let fixture = Fixture::start().await;
    let path = "/ok/9000/u/%C3%BC%20(1).pdf?X-Amz-Signature=abc&X-Amz-Expires=60";
    assert_body(fixture.get(path).await, "/ok/9000/u/ü (1).pdf").await;
    fixture.assert_file("/test.pdf").await;
}

#[tokio::test]
async fn a_path_without_an_extension_is_not_found_and_the_root_explains() {
    let fixture = Fixture::start().await;
    assert_eq!(fixture.status("/ok/5/u/name").await, 404);
    assert!(fixture.get("/").await.text().await.unwrap().contains("truncated-once"));
    let refused = fixture.client.post(fixture.url("/a.pdf")).send().await.unwrap();
    assert_eq!(refused.status(), 405);
    assert_eq!(header(&refused, "allow"), "GET, HEAD");
}

#[tokio::test]
async fn error_statuses_are_answered_always_or_once_for_each_path() {
    let fixture = Fixture::start().await;
    for (kind, status, times, retry_after) in [
        ("missing", 404, None, ""),
        ("forbidden", 403, None, ""),
        ("unavailable", 503, None, ""),
        ("unavailable-once", 503, Some(1), ""),
        ("unavailable-thrice", 503, Some(3), ""),
        ("throttled-once", 429, Some(1), "1"),
        ("busy-once", 503, Some(1), "3"),
        ("unauthorized-once", 401, Some(1), ""),
    ] {
        for unique in ["one", "two"] {
            let path = format!("/{kind}/9000/{unique}/a.pdf");
            for attempt in 0..times.unwrap_or(4) {
                let refused = fixture.get(&format!("{path}?attempt={attempt}")).await;
                assert_eq!(refused.status(), status, "{path}");
                assert_eq!(header(&refused, "retry-after"), retry_after, "{path}");
            }
            if times.is_some() {
                fixture.assert_file(&path).await;
                fixture.assert_file(&path).await;
            }
        }
    }
}

#[tokio::test]
async fn head_gets_the_headers_of_the_next_get_and_does_not_use_up_the_fault() {
    let fixture = Fixture::start().await;
    let head = async |path: &str| fixture.client.head(fixture.url(path)).send().await.unwrap();
    let good = head("/ok/9000000/u/a.pdf").await;
    assert_eq!(header(&good, "content-length"), "9000000");
    assert_eq!(header(&good, "content-type"), "application/pdf");
    let once = "/unavailable-once/9000/u/a.pdf";
    for _ in 0..2 {
        assert_eq!(head(once).await.status(), 503);
    }
    assert_eq!(fixture.status(once).await, 503);
    assert_eq!(head(once).await.status(), 200, "the GET used up the fault");
    fixture.assert_file(once).await;
    assert_eq!(header(&head("/endless/9000/u/a.pdf").await, "content-length"), "");
}

#[tokio::test]
async fn truncated_sends_half_of_the_content_length_and_closes() {
    let fixture = Fixture::start().await;
    let once = "/truncated-once/20000/u/a.jpg";
    for path in ["/truncated/20000/u/a.jpg", "/truncated/20000/u/a.jpg", once] {
        let answer = fixture.raw(path).await;
        let head_end = answer.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
        let (head, body) = answer.split_at(head_end);
        let head = String::from_utf8_lossy(head).to_lowercase();
        for line in ["content-length: 20000\r\n", "content-type: image/jpeg\r\n"] {
            assert!(head.contains(line), "{head}");
        }
        assert!(body == &content_for(path).to_bytes()[..10_000], "{} bytes", body.len());
    }
    fixture.assert_file(once).await;
    let large = fixture.get("/truncated-once/9000000/u/a.mp4").await;
    assert_eq!(large.content_length(), Some(9_000_000));
    assert!(large.bytes().await.is_err());
    fixture.assert_file("/truncated-once/9000000/u/a.mp4").await;
}

#[tokio::test]
async fn html_pages_are_sent_under_a_wrong_and_under_the_right_type() {
    let fixture = Fixture::start().await;
    for (kind, content_type) in [("html", "application/pdf"), ("wrong-type", "text/html")] {
        let response = fixture.get(&format!("/{kind}/9000/u/a.pdf")).await;
        assert_eq!(response.status(), 200);
        assert_eq!(header(&response, "content-type"), content_type);
        let page = response.bytes().await.unwrap();
        assert_eq!(infer::get(&page).unwrap().mime_type(), "text/html");
    }
}

#[tokio::test]
async fn redirects_keep_path_and_query() {
    let fixture = Fixture::start().await;
    for (kind, origin) in [("redirect", ""), ("redirect-away", "https://elsewhere.invalid")] {
        let redirect = fixture.get(&format!("/{kind}/9000/u%20v/a.pdf?sig=1%2F2")).await;
        assert_eq!(redirect.status(), 302);
        let expected = format!("{origin}/ok/9000/u%20v/a.pdf?sig=1%2F2");
        assert_eq!(header(&redirect, "location"), expected);
    }
}

#[tokio::test]
async fn gzip_and_octet_serve_the_file_compressed_and_under_the_general_type() {
    let fixture = Fixture::start().await;
    let response = fixture.get("/gzip/90000/u/a.csv").await;
    assert_eq!(response.headers()["content-encoding"], "gzip");
    let body = response.bytes().await.unwrap();
    let mut decoded = Vec::new();
    std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(&body[..]), &mut decoded).unwrap();
    assert!(decoded == content_for("/gzip/90000/u/a.csv").to_bytes());
    let response = fixture.get("/octet/9000/u/a.pdf").await;
    assert_eq!(header(&response, "content-type"), "application/octet-stream");
    assert_body(response, "/octet/9000/u/a.pdf").await;
}

#[tokio::test]
async fn delayed_files_come_after_50_ms() {
    let fixture = Fixture::start().await;
    let start = Instant::now();
    fixture.assert_file("/delayed/9000/u/a.pdf").await;
    assert!(start.elapsed() >= Duration::from_millis(50));
}

#[tokio::test]
async fn slow_takes_three_seconds_and_is_complete() {
    let fixture = Fixture::start().await;
    let start = Instant::now();
    tokio::join!(
        fixture.assert_file("/slow/20000/u/a.pdf"),
        fixture.assert_file("/slow/5000000/u/a.mp4"),
        fixture.assert_file("/slow/0/u/a.txt"),
    );
    let taken = start.elapsed().as_secs_f64();
    assert!((2.9..10.0).contains(&taken), "{taken} s");
}

#[tokio::test]
async fn endless_begins_like_the_file_and_ends_when_the_client_closes() {
    let fixture = Fixture::start().await;
    let mut response = fixture.get("/endless/9000/u/a.pdf").await;
    assert_eq!(response.content_length(), None);
    assert_eq!(header(&response, "content-type"), "application/pdf");
    let first = response.chunk().await.unwrap().unwrap();
    assert_eq!(infer::get(&first).unwrap().mime_type(), "application/pdf");
    let mut read = first.len();
    while read < 20_000_000 {
        read += response.chunk().await.unwrap().unwrap().len();
    }
    drop(response);
    fixture.assert_file("/ok/9000/u/a.pdf").await;
}

#[tokio::test]
async fn a_connection_serves_many_requests() {
    let fixture = Fixture::start().await;
    let mut stream = TcpStream::connect(fixture.source.http_addr()).await.unwrap();
    let expected = content_for("/ok/9000/u/a.txt").to_bytes();
    for _ in 0..3 {
        let request = b"GET /ok/9000/u/a.txt HTTP/1.1\r\nHost: x\r\n\r\n";
        stream.write_all(request).await.unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(&expected) {
            let read = stream.read_buf(&mut answer).await.unwrap();
            assert_ne!(read, 0, "the server closed the connection");
        }
    }
}

#[tokio::test]
async fn every_fault_kind_is_answered() {
    let fixture = Fixture::start().await;
    for fault in Fault::all() {
        let status = fixture.status(&format!("/{fault}/9000/u/a.pdf")).await;
        assert_eq!(status == 200, !matches!(status, 300..), "{fault}");
    }
}

#[tokio::test]
async fn stop_cuts_off_endless_answers_and_frees_the_ports() {
    let fixture = Fixture::start().await;
    let mut endless = fixture.get("/endless/9000/u/a.pdf").await;
    let address = fixture.source.http_addr();
    let reading = tokio::spawn(async move { while let Ok(Some(_)) = endless.chunk().await {} });
    let limit = Duration::from_secs(10);
    timeout(limit, fixture.source.stop()).await.unwrap();
    timeout(limit, reading).await.unwrap().unwrap();
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn a_failed_start_returns_the_reason() {
    let fixture = Fixture::start().await;
    let taken = Options {
        http_bind: fixture.source.http_addr(),
        ..Options::default()
    };
    let error = AttachmentSource::start(taken).await.err().unwrap();
    assert!(matches!(error, StartError::Bind { .. }), "{error}");
    assert!(error.to_string().contains("port 0"), "{error}");
    let unusable = Options {
        https_hosts: vec!["bücher.example".into()],
        ..Options::default()
    };
    match AttachmentSource::start(unusable).await.err().unwrap() {
        StartError::Certificate(CertificateError::HostName { .. }) => {}
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn a_certificate_that_was_given_is_used() {
    let made = rcgen::generate_simple_self_signed(vec![HOST.to_owned()]).unwrap();
    let start = async |key: String| {
        let certificate = Given {
            chain: made.cert.pem().into_bytes(),
            key: key.into_bytes(),
        };
        let options = Options {
            certificate: Some(certificate),
            ..Options::default()
        };
        AttachmentSource::start(options).await
    };
    let source = start(made.signing_key.serialize_pem()).await.unwrap();
    assert_eq!(source.ca_pem(), "");
    let url = format!("https://{HOST}:{}/a.pdf", source.https_addr().port());
    let response = client(&made.cert.pem(), &source).get(url).send().await;
    assert_eq!(response.unwrap().status(), StatusCode::OK);

    let other = rcgen::KeyPair::generate().unwrap().serialize_pem();
    for key in [other, "no key".to_owned()] {
        match start(key).await.err().unwrap() {
            StartError::Certificate(CertificateError::Invalid(_)) => {}
            other => panic!("{other}"),
        }
    }
}

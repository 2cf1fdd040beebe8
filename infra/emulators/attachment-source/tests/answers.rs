//! The server's answers over HTTP and HTTPS to an ordinary HTTP client.
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, Method, Response, StatusCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use attachment_source::{
    AttachmentSource, Certificate as Given, CertificateError, Fault, Options, StartError, content_for,
};

struct Fixture {
    source: AttachmentSource,
    client: Client,
}

impl Fixture {
    async fn start() -> Self {
        let options = Options {
            https_hosts: vec!["claimxperience.com".into()],
            ..Options::default()
        };
        let source = AttachmentSource::start(options).await.unwrap();
        let client = client(&source);
        Self { source, client }
    }

    async fn get(&self, path: &str) -> Response {
        self.client
            .get(format!("http://{}{path}", self.source.http_addr()))
            .send()
            .await
            .unwrap()
    }

    async fn status(&self, path: &str) -> u16 {
        self.get(path).await.status().as_u16()
    }

    /// Asserts that the path serves its file.
    async fn assert_file(&self, path: &str) {
        let response = self.get(path).await;
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        let expected = content_for(path);
        assert_eq!(header(&response, "content-type"), expected.content_type, "{path}");
        assert_eq!(response.content_length(), Some(expected.size()), "{path}");
        assert!(response.bytes().await.unwrap() == expected.to_bytes(), "{path}");
    }
}

/// A client that trusts only the server's authority, follows no redirect, and resolves claimxperience.com to the server.
fn client(source: &AttachmentSource) -> Client {
    let ca = Certificate::from_pem(source.ca_pem().as_bytes()).unwrap();
    Client::builder()
        .tls_certs_only([ca])
        .redirect(Policy::none())
        .resolve("claimxperience.com", source.https_addr())
        .no_proxy()
        .build()
        .unwrap()
}

fn header<'a>(response: &'a Response, name: &str) -> &'a str {
    response.headers().get(name).map_or("", |value| value.to_str().unwrap())
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
            for host in ["localhost", "127.0.0.1", "claimxperience.com"] {
                let response = fixture
                    .client
                    .get(format!("https://{host}:{port}{path}"))
                    .send()
                    .await
                    .unwrap();
                assert!(
                    response.bytes().await.unwrap() == content_for(&path).to_bytes(),
                    "{host} {path}"
                );
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
    assert!(client(&other).get(url).send().await.unwrap_err().is_connect());
}

#[tokio::test]
async fn escapes_in_the_path_are_decoded_and_the_query_is_ignored() {
    let fixture = Fixture::start().await;
    let response = fixture
        .get("/ok/9000/u/%C3%BC%20(1).pdf?X-Amz-Signature=abc&X-Amz-Expires=60")
        .await;
    assert!(response.bytes().await.unwrap() == content_for("/ok/9000/u/ü (1).pdf").to_bytes());
    fixture.assert_file("/test.pdf").await;
}

#[tokio::test]
async fn a_path_without_an_extension_is_not_found_and_the_root_explains() {
    let fixture = Fixture::start().await;
    assert_eq!(fixture.status("/ok/5/u/name").await, 404);
    assert!(fixture.get("/").await.text().await.unwrap().contains("truncated-once"));
    let url = format!("http://{}/a.pdf", fixture.source.http_addr());
    let refused = fixture.client.post(url).send().await.unwrap();
    assert_eq!(
        (refused.status().as_u16(), header(&refused, "allow")),
        (405, "GET, HEAD")
    );
}

#[tokio::test]
async fn error_statuses_are_answered_always_or_once_for_each_path() {
    let fixture = Fixture::start().await;
    for (kind, status) in [("missing", 404), ("forbidden", 403), ("unavailable", 503)] {
        for _ in 0..2 {
            assert_eq!(fixture.status(&format!("/{kind}/9000/u/a.pdf")).await, status);
        }
    }
    for (kind, status) in [
        ("unavailable-once", 503),
        ("throttled-once", 429),
        ("unauthorized-once", 401),
    ] {
        for unique in ["one", "two"] {
            let path = format!("/{kind}/9000/{unique}/a.pdf");
            let refused = fixture.get(&format!("{path}?attempt=1")).await;
            assert_eq!(refused.status().as_u16(), status);
            assert_eq!(header(&refused, "retry-after"), if status == 429 { "1" } else { "" });
            fixture.assert_file(&path).await;
            fixture.assert_file(&path).await;
        }
    }
    let path = "/unavailable-thrice/9000/u/a.pdf";
    for _ in 0..3 {
        assert_eq!(fixture.status(path).await, 503);
    }
    fixture.assert_file(path).await;
}

#[tokio::test]
async fn head_gets_the_headers_of_the_next_get_and_does_not_use_up_the_fault() {
    let fixture = Fixture::start().await;
    let head = |path: &str| {
        fixture
            .client
            .request(Method::HEAD, format!("http://{}{path}", fixture.source.http_addr()))
            .send()
    };
    let good = head("/ok/9000000/u/a.pdf").await.unwrap();
    assert_eq!(header(&good, "content-length"), "9000000");
    assert_eq!(header(&good, "content-type"), "application/pdf");
    for _ in 0..2 {
        assert_eq!(head("/unavailable-once/9000/u/a.pdf").await.unwrap().status(), 503);
    }
    assert_eq!(fixture.status("/unavailable-once/9000/u/a.pdf").await, 503);
    assert_eq!(
        head("/unavailable-once/9000/u/a.pdf").await.unwrap().status(),
        200,
        "the GET used up the fault"
    );
    fixture.assert_file("/unavailable-once/9000/u/a.pdf").await;
    assert!(header(&head("/endless/9000/u/a.pdf").await.unwrap(), "content-length").is_empty());
}

/// Sends a request without an HTTP client, and returns everything until the server closes the connection.
async fn raw(address: SocketAddr, path: &str) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream
        .write_all(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes())
        .await
        .unwrap();
    let mut answer = Vec::new();
    // A reset counts as a close.
    let _ = stream.read_to_end(&mut answer).await;
    answer
}

#[tokio::test]
async fn truncated_sends_half_of_the_content_length_and_closes() {
    let fixture = Fixture::start().await;
    for path in [
        "/truncated/20000/u/a.jpg",
        "/truncated/20000/u/a.jpg",
        "/truncated-once/20000/u/a.jpg",
    ] {
        let answer = raw(fixture.source.http_addr(), path).await;
        let head_end = answer.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
        let head = String::from_utf8_lossy(&answer[..head_end]).to_lowercase();
        assert!(
            head.contains("content-length: 20000\r\n") && head.contains("content-type: image/jpeg\r\n"),
            "{head}"
        );
        assert!(
            answer[head_end..] == content_for(path).to_bytes()[..10_000],
            "{} bytes",
            answer.len() - head_end
        );
    }
    fixture.assert_file("/truncated-once/20000/u/a.jpg").await;
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
        assert_eq!(
            (response.status().as_u16(), header(&response, "content-type")),
            (200, content_type)
        );
        assert_eq!(
            infer::get(&response.bytes().await.unwrap()).unwrap().mime_type(),
            "text/html"
        );
    }
}

#[tokio::test]
async fn redirects_keep_path_and_query() {
    let fixture = Fixture::start().await;
    let near = fixture.get("/redirect/9000/u%20v/a.pdf?sig=1%2F2").await;
    assert_eq!(
        (near.status().as_u16(), header(&near, "location")),
        (302, "/ok/9000/u%20v/a.pdf?sig=1%2F2")
    );
    let away = fixture.get("/redirect-away/9000/u/a.pdf?sig=1").await;
    assert_eq!(
        header(&away, "location"),
        "https://elsewhere.invalid/ok/9000/u/a.pdf?sig=1"
    );
}

#[tokio::test]
async fn gzip_serves_the_file_compressed() {
    let fixture = Fixture::start().await;
    let response = fixture.get("/gzip/90000/u/a.csv").await;
    assert_eq!(response.headers()["content-encoding"], "gzip");
    let body = response.bytes().await.unwrap();
    let mut decoded = Vec::new();
    std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(&body[..]), &mut decoded).unwrap();
    assert!(decoded == content_for("/gzip/90000/u/a.csv").to_bytes());
}

#[tokio::test]
async fn octet_serves_the_file_under_the_general_type() {
    let fixture = Fixture::start().await;
    let response = fixture.get("/octet/9000/u/a.pdf").await;
    assert_eq!(header(&response, "content-type"), "application/octet-stream");
    assert!(response.bytes().await.unwrap() == content_for("/octet/9000/u/a.pdf").to_bytes());
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
    let taken = start.elapsed();
    assert!(
        taken >= Duration::from_millis(2_900) && taken < Duration::from_secs(10),
        "{taken:?}"
    );
}

#[tokio::test]
async fn endless_begins_like_the_file_and_ends_when_the_client_closes() {
    let fixture = Fixture::start().await;
    let mut response = fixture.get("/endless/9000/u/a.pdf").await;
    assert_eq!(
        (response.content_length(), header(&response, "content-type")),
        (None, "application/pdf")
    );
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
async fn in_an_outage_every_answer_is_503_and_no_fault_is_used_up() {
    let fixture = Fixture::start().await;
    fixture.source.set_outage(true);
    for path in [
        "/",
        "/ok/9000/u/a.pdf",
        "/throttled-once/9000/u/a.pdf",
        "/missing/9000/u/a.pdf",
    ] {
        assert_eq!(fixture.status(path).await, 503);
    }
    fixture.source.set_outage(false);
    assert_eq!(fixture.status("/throttled-once/9000/u/a.pdf").await, 429);
    fixture.assert_file("/ok/9000/u/a.pdf").await;
    assert_eq!(fixture.source.requests(), 6);
}

#[tokio::test]
async fn a_connection_serves_many_requests() {
    let fixture = Fixture::start().await;
    let mut stream = TcpStream::connect(fixture.source.http_addr()).await.unwrap();
    for _ in 0..3 {
        stream
            .write_all(b"GET /ok/9000/u/a.txt HTTP/1.1\r\nHost: x\r\n\r\n")
            .await
            .unwrap();
        let expected = content_for("/ok/9000/u/a.txt").to_bytes();
        let mut answer = Vec::new();
        while !answer.ends_with(&expected) {
            assert_ne!(
                stream.read_buf(&mut answer).await.unwrap(),
                0,
                "the server closed the connection"
            );
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
    tokio::time::timeout(Duration::from_secs(10), fixture.source.stop())
        .await
        .unwrap();
    tokio::time::timeout(Duration::from_secs(10), reading)
        .await
        .unwrap()
        .unwrap();
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
    assert!(
        matches!(error, StartError::Bind { .. }) && error.to_string().contains("port 0"),
        "{error}"
    );
    let unusable = Options {
        https_hosts: vec!["bücher.example".into()],
        ..Options::default()
    };
    let error = AttachmentSource::start(unusable).await.err().unwrap();
    assert!(
        matches!(error, StartError::Certificate(CertificateError::HostName { .. })),
        "{error}"
    );
}

#[tokio::test]
async fn a_certificate_that_was_given_is_used() {
    let made = rcgen::generate_simple_self_signed(vec!["claimxperience.com".to_owned()]).unwrap();
    let given = |key: String| Options {
        certificate: Some(Given {
            chain: made.cert.pem().into_bytes(),
            key: key.into_bytes(),
        }),
        ..Options::default()
    };
    let source = AttachmentSource::start(given(made.signing_key.serialize_pem()))
        .await
        .unwrap();
    assert_eq!(source.ca_pem(), "");
    let client = Client::builder()
        .tls_certs_only([Certificate::from_pem(made.cert.pem().as_bytes()).unwrap()])
        .resolve("claimxperience.com", source.https_addr())
        .no_proxy()
        .build()
        .unwrap();
    let url = format!("https://claimxperience.com:{}/a.pdf", source.https_addr().port());
    assert_eq!(client.get(url).send().await.unwrap().status(), StatusCode::OK);

    let other = rcgen::KeyPair::generate().unwrap().serialize_pem();
    for key in [other, "no key".to_owned()] {
        let refused = AttachmentSource::start(given(key)).await.err().unwrap();
        assert!(
            matches!(refused, StartError::Certificate(CertificateError::Invalid(_))),
            "{refused}"
        );
    }
}

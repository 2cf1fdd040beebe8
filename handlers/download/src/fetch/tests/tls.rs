//! TLS: truncation and certificates.

use super::*;

/// Sends a file without a length and closes the connection without close_notify.
async fn send_without_length(_: usize, mut connection: Connection) {
    connection.request().await;
    connection.send(&answer("Connection: close\r\n", PDF)).await;
}

#[tokio::test]
async fn tls_detects_truncation_and_foreign_certificates() {
    // Neither a length nor chunks: only TLS could mark the end.
    let (config, pem) = tls("localhost", &[b"http/1.1"]);
    let server = RawServer::start_tls(config, send_without_length).await;
    let problem = Bench::with(LONG_TIMEOUTS, Some(&pem))
        .fetch_url(&format!("https://localhost:{}/a.pdf", server.port))
        .await
        .unwrap_err();
    assert_eq!(problem.category, Category::Transient);
    assert!(problem.message().contains("close_notify"), "{}", problem.message());

    let trusted = |name: &str, protocols: &[&[u8]]| {
        let (config, pem) = tls(name, protocols);
        (config, Some(pem))
    };
    let unknown_issuer = || (tls("localhost", &[]).0, None);
    for (name, (config, pem), words) in [
        ("only HTTP/2", trusted("localhost", &[b"h2"]), "NoApplicationProtocol"),
        (
            "another host's certificate",
            trusted("elsewhere.example", &[]),
            "not valid for name",
        ),
        ("a certificate of an unknown issuer", unknown_issuer(), "UnknownIssuer"),
    ] {
        let server = RawServer::start_tls(config, send_without_length).await;
        let problem = Bench::with(LONG_TIMEOUTS, pem.as_deref())
            .fetch_url(&format!("https://localhost:{}/a.pdf", server.port))
            .await
            .unwrap_err();
        assert_eq!(problem.category, Category::Transient, "{name}");
        assert!(problem.message().contains(words), "{name}: {}", problem.message());
    }
}

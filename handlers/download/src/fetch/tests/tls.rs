//! TLS: truncation and certificates.

use super::*;

/// Sends a file without a length and closes the connection without close_notify.
async fn send_without_length(_: usize, mut connection: Connection) {
    connection.request().await;
    connection.send(&answer("Connection: close\r\n", PDF)).await;
}

#[tokio::test]
async fn tls_detects_truncation_and_foreign_certificates() {
    let trusted = |name: &str, protocols: &[&[u8]]| {
        let (config, pem) = tls(name, protocols);
        (config, Some(pem))
    };
    let unknown_issuer = || (tls("localhost", &[]).0, None);
    let another_host = || trusted("elsewhere.example", &[]);
    for (name, (config, pem), words) in [
        // Neither a length nor chunks: only TLS could mark the end.
        ("truncated", trusted("localhost", &[b"http/1.1"]), "close_notify"),
        ("only HTTP/2", trusted("localhost", &[b"h2"]), "NoApplicationProtocol"),
        ("another host's certificate", another_host(), "not valid for name"),
        ("an unknown issuer's certificate", unknown_issuer(), "UnknownIssuer"),
    ] {
        let server = RawServer::start_with(Some(config), send_without_length).await;
        let bench = Bench::with(LONG_TIMEOUTS, pem.as_deref());
        bench.assert_is_transient(name, &server, words).await;
    }
}

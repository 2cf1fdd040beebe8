//! Requests that are sent again at once: when, how often, and within which time.

use super::*;

/// How a server closes a connection.
#[derive(Debug, Clone, Copy)]
enum Closing {
    Close,
    Reset,
}

/// A server that responds to this number of requests per connection, and closes it at the next one.
async fn closes_after(requests: usize, closing: Closing) -> RawServer {
    RawServer::start(move |_, mut connection| async move {
        for _ in 0..requests {
            if connection.request().await.is_empty() {
                return;
            }
            connection.send(&sized("", PDF)).await;
        }
        match closing {
            // With the rest of the request unread, the system resets the connection.
            Closing::Reset => connection.byte().await,
            Closing::Close => drop(connection.request().await),
        }
    })
    .await
}

#[tokio::test]
async fn a_pooled_connection_that_is_closed_on_reuse_is_not_a_failure() {
    for closing in [Closing::Close, Closing::Reset] {
        let bench = Bench::new();
        let server = closes_after(1, closing).await;
        for number in 1..=6 {
            let cached = bench.fetch(&server).await;
            let cached = cached.unwrap_or_else(|problem| panic!("{number}: {}", problem.message()));
            assert_eq!(cached.bytes, PDF.len() as u64);
        }
        // Pooled and new connections take turns; the new ones of a second attempt are not pooled.
        assert_eq!(server.connections(), 6, "{closing:?}");
    }
}

#[tokio::test]
async fn a_pooled_tls_connection_that_is_cut_is_not_a_failure() {
    let (config, pem) = tls("localhost", &[b"http/1.1"]);
    let server = RawServer::start_tls(config, |_, mut connection| async move {
        connection.request().await;
        connection.send(&sized("", PDF)).await;
        connection.request().await;
    })
    .await;
    let bench = Bench::with(LONG_TIMEOUTS, Some(&pem));
    let url = format!("https://localhost:{}/a.pdf", server.port);
    for _ in 0..4 {
        assert_eq!(bench.fetch_url(&url).await.unwrap().bytes, PDF.len() as u64);
    }
}

#[tokio::test]
async fn a_request_is_repeated_once_and_only_where_a_connection_may_be_pooled() {
    let bench = Bench::new();
    // A host that never responded: no connection can have been pooled.
    let server = RawServer::start(|_, mut connection| async move { drop(connection.request().await) }).await;
    bench
        .assert_fails("never answers", &server, Category::Transient, "the request failed")
        .await;
    assert_eq!(server.connections(), 1);
    // A host that responds once: the second attempt fails too, and is the last.
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
    // A host whose responses are never readable.
    let server = sends(b"SSH-2.0-OpenSSH_9.2\r\n".to_vec(), Then::Hold).await;
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
async fn a_second_attempt_shares_the_timeout_of_the_first() {
    let bench = Bench::with(
        Timeouts {
            base: Duration::from_secs(2),
            ..LONG_TIMEOUTS
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
        .assert_fails("then silent", &server, Category::Transient, "no response within 2 s")
        .await;
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
    assert_eq!(server.connections(), 2);
}

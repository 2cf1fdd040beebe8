//! Requests: their headers, and those that are sent again at once: when, how often, and within which time.

use super::*;

#[tokio::test]
async fn a_request_accepts_no_encoding_and_has_no_other_headers() {
    let server = sends(sized("", PDF), Then::Close).await;
    Bench::new().assert_fetches_pdf("a file", &server).await;
    let request = server.requests().concat().to_lowercase();
    let lines = request.lines().skip(1);
    let names: Vec<&str> = lines.filter_map(|line| Some(line.split_once(':')?.0)).collect();
    assert_eq!(names, ["accept", "user-agent", "host"], "{request}");
}

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
            bench.assert_fetches_pdf(&format!("file {number}"), &server).await;
        }
        // Pooled and new connections take turns; the new ones of a second attempt are not pooled.
        assert_eq!(server.connections(), 6, "{closing:?}");
    }
}

#[tokio::test]
async fn a_pooled_tls_connection_that_is_cut_is_not_a_failure() {
    let (config, pem) = tls("localhost", &[b"http/1.1"]);
    let server = RawServer::start_with(Some(config), |_, mut connection| async move {
        connection.request().await;
        connection.send(&sized("", PDF)).await;
        connection.request().await;
    })
    .await;
    let bench = Bench::with(LONG_TIMEOUTS, Some(&pem));
    for number in 1..=4 {
        bench.assert_fetches_pdf(&format!("file {number}"), &server).await;
    }
}

/// A server that responds on its first connection alone, and then closes or holds further ones.
async fn responds_once(then: Then) -> RawServer {
    RawServer::start(move |number, mut connection| async move {
        connection.request().await;
        if number == 0 {
            connection.send(&sized("", PDF)).await;
            connection.request().await;
        } else if then == Then::Hold {
            connection.hold().await;
        }
    })
    .await
}

#[tokio::test]
async fn a_request_is_repeated_once_and_only_where_a_connection_may_be_pooled() {
    let bench = Bench::new();
    // A host that never responded: no connection can have been pooled.
    let server = RawServer::start(|_, mut connection| async move { drop(connection.request().await) }).await;
    bench
        .assert_is_transient("never answers", &server, "the request failed")
        .await;
    assert_eq!(server.connections(), 1);
    // A host that responds once: the second attempt fails too, and is the last.
    let server = responds_once(Then::Close).await;
    bench.assert_fetches_pdf("the first file", &server).await;
    bench
        .assert_is_transient("answers once", &server, "the request failed")
        .await;
    assert_eq!(server.connections(), 2);
    // A host whose responses are never readable.
    let server = sends(b"SSH-2.0-OpenSSH_9.2\r\n".to_vec(), Then::Hold).await;
    bench
        .assert_is_transient("not HTTP", &server, "the request failed")
        .await;
    assert_eq!(server.connections(), 2);
}

#[tokio::test]
async fn a_second_attempt_shares_the_timeout_of_the_first() {
    let timeouts = Timeouts {
        base: Duration::from_secs(2),
        ..LONG_TIMEOUTS
    };
    let bench = Bench::with(timeouts, None);
    let server = responds_once(Then::Hold).await;
    bench.assert_fetches_pdf("the first file", &server).await;
    let started = Instant::now();
    bench
        .assert_is_transient("then silent", &server, "no response within 2 s")
        .await;
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
    assert_eq!(server.connections(), 2);
}

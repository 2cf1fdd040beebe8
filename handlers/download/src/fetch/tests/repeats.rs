//! Requests that are made again at once: when, how often, and in which time.

use super::*;

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

//! Floods, slow responses and silence.

use super::*;

#[tokio::test]
async fn floods_slow_responses_and_silence_end_in_time() {
    let bench = Bench::with(SHORT_TIMEOUTS, None);
    let head = || answer("Content-Type: application/pdf\r\n", PDF);

    let endless = RawServer::start(move |_, mut connection| async move {
        connection.request().await;
        connection.send(&head()).await;
        connection.send_forever(&[b'x'; 65_536]).await;
    })
    .await;
    let words = "MAX_FILE_BYTES";
    bench
        .assert_fails("an endless body", &endless, Category::Permanent, words)
        .await;

    let endless = RawServer::start(|_, mut connection| async move {
        connection.request().await;
        let first = answer("Transfer-Encoding: chunked\r\n", b"9\r\n%PDF-1.7\n\r\n");
        connection.send(&first).await;
        connection.send_forever(b"1\r\nx\r\n").await;
    })
    .await;
    let problem = bench.fetch(&endless).await.unwrap_err();
    // One byte per chunk: a slow machine reaches the time limit before the size limit.
    let text = problem.message();
    assert!(text.contains("MAX_FILE_BYTES") || text.contains("too slow"), "{text}");

    for (name, flood) in [
        ("endless 100 Continue", &b"HTTP/1.1 100 Continue\r\n\r\n"[..]),
        ("endless early hints", b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"),
        ("endless empty lines", b"\r\n"),
    ] {
        let server = RawServer::start(move |_, mut connection| async move {
            connection.request().await;
            connection.send_forever(flood).await;
        })
        .await;
        bench.assert_is_transient(name, &server, "").await;
    }

    // Each piece arrives before the idle timeout.
    for (name, first, words) in [
        ("a status line, drop by drop", &b""[..], "the request timed out"),
        (
            "a header, drop by drop",
            b"HTTP/1.1 200 OK\r\nX: ",
            "the request timed out",
        ),
        ("a body, drop by drop", &head(), "too slow"),
    ] {
        let first = first.to_vec();
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
        bench.assert_is_transient(name, &server, words).await;
    }

    let silent = RawServer::start(|_, mut connection| async move { connection.hold().await }).await;
    bench
        .assert_is_transient("silence", &silent, "the request timed out")
        .await;
    let half = sends(answer("Content-Length: 500\r\n", PDF), Then::Hold).await;
    bench
        .assert_is_transient("half, and silence", &half, "the body timed out")
        .await;
}

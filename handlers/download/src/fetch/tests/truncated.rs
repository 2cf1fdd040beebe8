//! Responses that end too early.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

#[tokio::test]
async fn a_response_truncated_at_any_byte_is_not_a_file() {
    let whole = sized("", PDF);
    for (reads_request, how) in [(true, "closed"), (false, "reset")] {
        let bench = Bench::new();
        let length = Arc::new(AtomicUsize::new(0));
        let server = RawServer::start({
            let (whole, length) = (whole.clone(), Arc::clone(&length));
            move |_, mut connection| {
                let piece = whole[..length.load(Ordering::SeqCst)].to_vec();
                async move {
                    // With the request unread, the system resets the connection instead of closing it.
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
            bench.assert_is_transient(&name, &server, "").await;
        }
        if reads_request {
            length.store(whole.len(), Ordering::SeqCst);
            bench.assert_fetches_pdf("the whole response", &server).await;
        }
        assert!(server.connections() >= whole.len(), "{how}");
    }
}

//! Tests that planted secrets are neither in errors, nor in `Debug` output, nor in the log at level TRACE.

use std::io;
use std::sync::{Arc, Mutex};

use tracing_subscriber::fmt::MakeWriter;

use super::server::{Reply, Server};
use super::*;

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

/// Answers that echo the request.
fn echo(request: &server::RecordedRequest, number: usize) -> Reply {
    let body = String::from_utf8_lossy(&request.body).into_owned();
    let secret = &request.form()["client_secret"];
    let jwt = "eyJ0eXAiOiJKV1QiLCJhbGciOiJSUzI1NiJ9.eyJvaWQiOiI3ZDNjOGYwZSJ9.c2lnbmF0dXJl";
    match number {
        1 => Reply::Html(500, format!("<html>{body} {secret} {jwt}</html>")),
        2 => Reply::Json(
            500,
            serde_json::json!({"error": "server_error", "error_description": format!("sent {secret}; {body}; {jwt}")})
                .to_string(),
        ),
        3 => Reply::Json(
            503,
            serde_json::json!({"message": format!("Authorization: Bearer {jwt} {secret}")}).to_string(),
        ),
        4 => Reply::Html(200, format!("{body} {secret}")),
        5 => entra::token(jwt, 3599),
        _ => entra::error_reply(
            401,
            "invalid_client",
            7_000_215,
            &format!("Invalid client secret provided: {secret} {jwt}"),
        ),
    }
}

#[tokio::test]
async fn secrets_and_tokens_are_not_logged_or_printed() {
    alone("tests::secrets::child", &[]).await;
}

#[tokio::test]
#[ignore = "the other test runs it, as a process of its own, which has one log"]
async fn child() {
    let log = Log::default();
    tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(log.clone())
        .init();

    let server = Server::tls(echo);
    let identity = entra::service_principal(&server, LONG_TIMEOUTS);
    let mut written = vec![format!("{identity:?} {}", identity.describe())];
    let failures = async {
        while server.requests() < 5 || identity.peek(STORAGE).is_none() {
            let _ = tokio::time::timeout(Duration::from_millis(5), identity.token(STORAGE)).await;
            written.push(format!("{:?}", identity.status()));
        }
    };
    tokio::time::timeout(Duration::from_secs(60), failures).await.unwrap();
    let token = identity.token(STORAGE).await.unwrap();
    written.push(format!("{token:?}"));
    let error = identity.token(EVENT_HUBS).await.unwrap_err();
    written.push(format!("{error} {error:?}"));

    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(
        log.contains("no new token") && log.contains("there is a token again"),
        "it was logged"
    );
    written.push(log);
    let written = written.join("\n");
    assert!(
        written.contains("status 200 and content type text/html"),
        "the failures were seen"
    );
    // As they are and form-encoded.
    for planted in ["pla8Q", "nted-secret", "eyJ0eXAi", "c2lnbmF0dXJl"] {
        let around = written
            .find(planted)
            .map(|at| &written[at.saturating_sub(200)..at + 20]);
        assert_eq!(around, None, "{planted}");
    }
}

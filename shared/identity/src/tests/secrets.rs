//! Tests that planted secrets are neither in errors, nor in `Debug` output, nor in the log at level TRACE.

use std::io;
use std::sync::{Arc, Mutex};

use serde_json::json;
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
        1 => Reply::html(500, format!("<html>{body} {secret} {jwt}</html>")),
        2 => {
            let text = format!("sent {secret}; {body}; {jwt}");
            Reply::json(
                500,
                json!({"error": "server_error", "error_description": text}).to_string(),
            )
        }
        3 => {
            let text = format!("Authorization: Bearer {jwt} {secret}");
            Reply::json(503, json!({"message": text}).to_string())
        }
        4 => Reply::html(200, format!("{body} {secret}")),
        5 => entra::token(jwt, 3599),
        _ => {
            let text = format!("Invalid client secret provided: {secret} {jwt}");
            entra::error_reply(401, "invalid_client", 7_000_215, &text)
        }
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
    written.push(log);
    let written = written.join("\n");
    // The failures happened and were logged.
    for text in [
        "no new token",
        "there is a token again",
        "status 200 and content type text/html",
    ] {
        assert!(written.contains(text), "{text}");
    }
    // As they are and form-encoded.
    for planted in ["pla8Q", "nted-secret", "eyJ0eXAi", "c2lnbmF0dXJl"] {
        let found = written.find(planted);
        let around = found.map(|at| &written[at.saturating_sub(200)..at + 20]);
        assert_eq!(around, None, "{planted}");
    }
}

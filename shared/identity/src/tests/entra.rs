//! Tests Entra's token endpoint: client credentials with a secret, and with a federated token.
//!
//! <https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow>

use std::path::Path;

use super::server::{RecordedRequest, Reply, Server};
use super::*;

pub(super) const SECRET: &str = "pla8Q~nted-secret/of+the=application";

/// Returns a token in the format of Entra.
pub(super) fn token(text: &str, seconds: i64) -> Reply {
    let body = format!(
        r#"{{"token_type":"Bearer","expires_in":{seconds},"ext_expires_in":{seconds},"access_token":"{text}"}}"#
    );
    Reply::json(200, body)
}

/// Returns an error response in the format of Entra, with new ids each time.
pub(super) fn error_reply(status: u16, error: &str, code: u32, sentence: &str) -> Reply {
    let number = uuid::Uuid::new_v4();
    let body = format!(
        r#"{{"error":"{error}","error_description":"AADSTS{code}: {sentence} Trace ID: 0e5b2f6c-1 Correlation ID: {number} Timestamp: 2026-11-24 10:00:00Z","error_codes":[{code}],"timestamp":"2026-11-24 10:00:00Z","trace_id":"0e5b2f6c-1","correlation_id":"{number}","error_uri":"https://login.microsoftonline.com/error?code={code}"}}"#
    );
    Reply::json(status, body)
}

fn application(server: &Server, name: &str, value: &str, limits: TimeLimits) -> Identity {
    let mut settings = settings(&[
        ("AZURE_TENANT_ID", TENANT),
        ("AZURE_CLIENT_ID", CLIENT),
        ("AZURE_AUTHORITY_HOST", &server.url),
        (name, value),
    ]);
    settings.ca_pem = Some(server.ca_pem.clone());
    Identity::with_limits(&settings, limits).unwrap()
}

pub(super) fn service_principal(server: &Server, limits: TimeLimits) -> Identity {
    application(server, "AZURE_CLIENT_SECRET", SECRET, limits)
}

fn workload_identity(server: &Server, file: &Path) -> Identity {
    let file = file.to_str().unwrap();
    application(server, "AZURE_FEDERATED_TOKEN_FILE", file, LONG_TIMEOUTS)
}

/// Checks the common part of a request as Entra does.
fn is_client_credentials(request: &RecordedRequest) -> bool {
    let form = request.form();
    let field = |name| form.get(name).map(String::as_str);
    request.method == "POST"
        && request.uri.path() == format!("/{TENANT}/oauth2/v2.0/token")
        && request.header("content-type") == "application/x-www-form-urlencoded"
        && field("grant_type") == Some("client_credentials")
        && field("client_id") == Some(CLIENT)
}

#[tokio::test]
async fn a_service_principal_gets_a_token_for_each_scope() {
    let server = Server::tls(|request, number| {
        let form = request.form();
        if !is_client_credentials(request) || form["client_secret"] != SECRET || form.len() != 4 {
            return error_reply(401, "invalid_client", 7_000_215, "Invalid client secret provided.");
        }
        token(&format!("token-{number}-for-{}", form["scope"]), 3599)
    });
    let identity = service_principal(&server, LONG_TIMEOUTS);
    let storage = identity.token(STORAGE).await.unwrap();
    assert_eq!(text(&storage), format!("token-1-for-{STORAGE}"));
    assert!(lives_about(&storage, 3599));
    let event_hubs = identity.token(EVENT_HUBS).await.unwrap();
    assert_eq!(text(&event_hubs), format!("token-2-for-{EVENT_HUBS}"));
    // From the cache.
    assert_eq!(text(&identity.token(STORAGE).await.unwrap()), text(&storage));
    assert_eq!(server.requests(), 2);
}

#[tokio::test]
async fn a_discarded_token_is_requested_again_without_the_cache_of_azure_identity() {
    let server = Server::tls(|_, number| token(&format!("token-{number}"), 3599));
    let identity = service_principal(&server, LONG_TIMEOUTS);
    let first = identity.token(STORAGE).await.unwrap();
    assert_eq!(identity.forget(STORAGE, &first), crate::Forgotten::Replaced);
    let second = identity.token(STORAGE).await.unwrap();
    assert_eq!((text(&first), text(&second)), ("token-1", "token-2"));
    assert_eq!(identity.forget(STORAGE, &second), crate::Forgotten::Refused);
    assert_eq!(text(&identity.token(STORAGE).await.unwrap()), "token-2");
    assert_eq!(server.requests(), 2);
}

#[tokio::test]
async fn a_workload_identity_sends_the_current_federated_token() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("azure-identity-token");
    std::fs::write(&file, "federated-1").unwrap();
    let server = Server::tls(|request, number| {
        let form = request.form();
        let is_right = is_client_credentials(request)
            && form["client_assertion_type"] == "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
            && !form.contains_key("client_secret");
        if !is_right {
            return error_reply(400, "invalid_request", 900_144, "The request body is wrong.");
        }
        token(&format!("token-{number}-for-{}", form["client_assertion"]), 3599)
    });
    let identity = workload_identity(&server, &file);
    let first = identity.token(STORAGE).await.unwrap();
    assert_eq!(text(&first), "token-1-for-federated-1");
    // Rotated as Kubernetes does it: a new file replaces the old one. azure_identity alone would read it after ten minutes.
    std::fs::write(folder.path().join("new"), "federated-2\n").unwrap();
    std::fs::rename(folder.path().join("new"), &file).unwrap();
    let _ = identity.forget(STORAGE, &first);
    assert_eq!(text(&identity.token(STORAGE).await.unwrap()), "token-2-for-federated-2");
}

#[tokio::test]
async fn an_unusable_federated_token_is_reported_and_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("azure-identity-token");
    let server = Server::tls(|_, number| token(&format!("token-{number}"), 3599));
    for (content, reason) in [
        (None, "cannot be opened"),
        (Some(""), "is empty"),
        (Some("two words"), "something else than a token"),
        (Some("x".repeat(70_000).as_str()), "something else than a token"),
    ] {
        let identity = workload_identity(&server, &file);
        if let Some(content) = content {
            std::fs::write(&file, content).unwrap();
        }
        let error = identity.token(STORAGE).await.unwrap_err().to_string();
        assert!(
            error.contains(reason) && error.contains("AZURE_FEDERATED_TOKEN_FILE"),
            "{error}"
        );
    }
    assert_eq!(server.requests(), 0, "nothing was sent");
    std::fs::write(&file, "federated").unwrap();
    let identity = workload_identity(&server, &file);
    assert!(identity.token(STORAGE).await.is_ok());
}

#[tokio::test]
async fn errors_of_entra_state_the_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("azure-identity-token");
    std::fs::write(&file, "federated").unwrap();
    let (secret, federated) = (true, false);
    for (by_secret, status, code, advice) in [
        (secret, 401, 7_000_222, "has expired: create a new one"),
        (secret, 401, 7_000_215, "the value of the secret, not its id"),
        (secret, 400, 700_016, "check AZURE_CLIENT_ID and AZURE_TENANT_ID"),
        (secret, 400, 90_002, "check AZURE_TENANT_ID"),
        (secret, 400, 500_011, "check the name of the namespace"),
        (federated, 401, 700_024, "Kubernetes has not renewed it"),
        (federated, 400, 70_021, "federated identity credential must name"),
        (federated, 401, 700_213, "federated identity credential must name"),
        (federated, 400, 700_016, "check AZURE_CLIENT_ID and AZURE_TENANT_ID"),
        (
            secret,
            400,
            123_456,
            "was refused a token with 400: AADSTS123456: A sentence.",
        ),
    ] {
        let server = Server::tls(move |_, _| error_reply(status, "invalid_client", code, "A sentence."));
        let identity = if by_secret {
            service_principal(&server, LONG_TIMEOUTS)
        } else {
            workload_identity(&server, &file)
        };
        let error = identity.token(STORAGE).await.unwrap_err();
        assert!(!error.is_transient(), "{error}");
        let line = error.to_string();
        assert!(
            line.contains(advice) && line.contains(&format!("AADSTS{code}")),
            "{line}"
        );
        assert!(!line.contains("Trace ID") && !line.contains('\n'), "{line}");
    }
}

#[tokio::test]
async fn transient_errors_of_entra_are_retried() {
    let server = Server::tls(|_, number| match number {
        1 => Reply::html(503, "<html>Our services aren't available right now</html>"),
        2 => error_reply(
            400,
            "temporarily_unavailable",
            90_033,
            "A transient error has occurred.",
        ),
        3 => Reply::Throttled(1),
        _ => token("at-last", 3599),
    });
    let identity = service_principal(&server, LONG_TIMEOUTS);
    assert_eq!(text(&identity.token(STORAGE).await.unwrap()), "at-last");
    let status = identity.status().remove(0);
    assert_eq!((status.received, status.failed, status.failure), (1, 3, None));
}

#[tokio::test]
async fn hostile_answers_are_errors_within_limits_of_time_and_size() {
    let text = "x".repeat(80_000);
    let large = format!(r#"{{"access_token":"{text}","expires_in":3599,"token_type":"Bearer"}}"#);
    for (reply, expected) in [
        (
            Reply::html(200, "<html>Sign in to the network</html>"),
            "content type text/html",
        ),
        (Reply::html(302, "<html>moved</html>"), "content type text/html"),
        (Reply::html(502, "<html>bad gateway</html>"), "answered 502"),
        (Reply::html(404, ""), "refused a token with 404"),
        (Reply::json(200, "{}"), "is not a usable token"),
        (Reply::json(200, "[[[["), "is not a usable token"),
        (Reply::json(200, large), "more than 64 KiB"),
        (token("x", i64::MAX), "is not a usable token"),
        (token("x", i64::MIN), "is not a usable token"),
        (token("x", 0), "check this machine's clock"),
        (token("x\\r\\nx-injected: 1", 3599), "is not a usable token"),
        (Reply::json(400, "null"), "refused a token with 400"),
        (Reply::Endless, "more than 64 KiB"),
        (Reply::Silence, "did not answer within 500ms"),
        (Reply::Stuck, "did not answer within 500ms"),
    ] {
        let is_slow = matches!(reply, Reply::Silence | Reply::Stuck);
        let server = Server::tls(move |_, _| reply.clone());
        let identity = service_principal(&server, if is_slow { SHORT_TIMEOUTS } else { LONG_TIMEOUTS });
        let failed = tokio::time::timeout(Duration::from_secs(30), first_failure(&identity)).await;
        let line = failed.expect("it ends in time").to_string();
        assert!(line.contains(expected), "{expected}: {line}");
        assert!(identity.peek(STORAGE).is_none());
    }
}

#[tokio::test]
async fn a_server_that_cannot_be_reached_or_trusted_is_named() {
    // A port that is closed.
    let closed = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let url = format!("https://{closed}");
    let mut unreachable = settings(&[
        ("AZURE_TENANT_ID", TENANT),
        ("AZURE_CLIENT_ID", CLIENT),
        ("AZURE_CLIENT_SECRET", SECRET),
        ("AZURE_AUTHORITY_HOST", &url),
    ]);
    let identity = Identity::with_limits(&unreachable, LONG_TIMEOUTS).unwrap();
    let error = first_failure(&identity).await;
    assert!(error.is_transient());
    assert!(error.to_string().contains("Connection refused"), "{error}");

    let untrusted = Server::tls(|_, _| token("x", 3599));
    unreachable.authority = Some(untrusted.url.parse().unwrap());
    let identity = Identity::with_limits(&unreachable, LONG_TIMEOUTS).unwrap();
    let error = first_failure(&identity).await.to_string();
    assert!(
        error.contains("localhost:") && error.contains("SSL_CERT_FILE"),
        "{error}"
    );
    assert_eq!(untrusted.requests(), 0, "the secret was not sent");
}

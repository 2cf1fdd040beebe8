//! Tests the managed identity endpoint of a container app.
//!
//! <https://learn.microsoft.com/azure/container-apps/managed-identity#rest-endpoint-reference>
//!
//! `azure_identity` reads its address from the process's own variables, so each test starts this test program again, as a
//! process that has them, and [`child`] asks for the token.

use super::server::{RecordedRequest, Reply, Server};
use super::*;

pub(super) const HEADER: &str = "853b9a84-5bfa-4b22-a3f3-0b9a43d9ad8a";

/// Milliseconds that the child waits for each token.
const TOKEN_TIMEOUT: &str = "TEST_TOKEN_TIMEOUT_MS";

/// The output of a child process.
#[derive(Debug)]
pub(super) struct Outcome {
    /// `describe: …`, `token: …`, `error: …`.
    pub(super) lines: Vec<String>,
    /// Its log at level TRACE.
    pub(super) log: String,
}

/// Asks for tokens in a process with these variables.
pub(super) async fn in_a_container(variables: &[(&str, &str)]) -> Outcome {
    let output = alone("tests::managed_identity::child", variables).await;
    let log = String::from_utf8_lossy(&output.stderr).into_owned();
    let lines = String::from_utf8_lossy(&output.stdout)
        .lines()
        // The test program's own output surrounds them.
        .filter_map(|line| line.split_once("child> ").map(|(_, line)| line.to_owned()))
        .collect();
    Outcome { lines, log }
}

#[test]
#[ignore = "the other tests run it, as a process with the variables of a container"]
fn child() {
    tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(std::io::stderr)
        .init();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let names = ["AZURE_CLIENT_ID", "IDENTITY_ENDPOINT", "IDENTITY_HEADER"];
        let own = names.map(|name| (name, std::env::var(name).unwrap_or_default()));
        let set: Vec<_> = own.iter().filter(|(_, value)| !value.is_empty()).collect();
        let set: Vec<_> = set.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let identity = match Identity::with_limits(&settings(&set), LONG_TIMEOUTS) {
            Ok(identity) => identity,
            Err(error) => return println!("child> error: {error}"),
        };
        println!("child> describe: {}", identity.describe());
        let timeout = std::env::var(TOKEN_TIMEOUT).map_or(60_000, |milliseconds| milliseconds.parse().unwrap());
        for scope in [STORAGE, EVENT_HUBS, STORAGE] {
            let outcome = tokio::time::timeout(Duration::from_millis(timeout), identity.token(scope)).await;
            match outcome {
                Ok(Ok(token)) => println!("child> token: {} {}", text(&token), lives_about(&token, 86_399)),
                Ok(Err(error)) => println!("child> error: {error}"),
                // It still retries: the error that it retries after.
                Err(_) => println!("child> waits: {}", first_failure(&identity).await),
            }
        }
    });
}

/// Returns a token in the format of the endpoint: the date is text.
fn token(request: &RecordedRequest) -> Reply {
    let resource = &request.query()["resource"];
    let expires_on = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap()
        .as_secs()
        + 86_399;
    let client = request
        .query()
        .get("client_id")
        .cloned()
        .unwrap_or_else(|| "the-system-assigned-one".to_owned());
    Reply::Json(
        200,
        format!(
            r#"{{"access_token":"planted-token-of-{client}-for-{resource}","expires_on":"{expires_on}","resource":"{resource}","token_type":"Bearer","client_id":"{client}"}}"#
        ),
    )
}

/// Checks a request as the endpoint does.
fn endpoint(request: &RecordedRequest, _: usize) -> Reply {
    if request.header("x-identity-header") != HEADER {
        return Reply::Json(401, r#"{"statusCode":401,"message":"wrong header"}"#.to_owned());
    }
    let query = request.query();
    let is_right = request.method == "GET"
        && request.uri.path() == "/msi/token"
        && query.get("api-version").is_some_and(|version| version == "2019-08-01")
        && query
            .get("resource")
            .is_some_and(|resource| !resource.ends_with("/.default"))
        && query
            .keys()
            .all(|name| ["api-version", "resource", "client_id"].contains(&name.as_str()));
    match (is_right, query.get("client_id").map(String::as_str)) {
        (true, None | Some(CLIENT)) => token(request),
        _ => Reply::Json(
            400,
            r#"{"statusCode":400,"message":"No User Assigned or Delegated Managed Identity found for specified ClientId/ResourceId/PrincipalId.","correlationId":"5f5a"}"#
                .to_owned(),
        ),
    }
}

#[tokio::test]
async fn the_system_assigned_identity_gets_tokens() {
    let server = Server::plain(endpoint);
    let address = format!("{}/msi/token", server.url);
    let outcome = in_a_container(&[("IDENTITY_ENDPOINT", &address), ("IDENTITY_HEADER", HEADER)]).await;
    let host = server.url.trim_start_matches("http://");
    assert_eq!(
        outcome.lines,
        [
            format!("describe: system-assigned managed identity, from {host}"),
            "token: planted-token-of-the-system-assigned-one-for-https://storage.azure.com true".to_owned(),
            "token: planted-token-of-the-system-assigned-one-for-https://evhns-xact.servicebus.windows.net true"
                .to_owned(),
            "token: planted-token-of-the-system-assigned-one-for-https://storage.azure.com true".to_owned(),
        ]
    );
    assert_eq!(server.requests(), 2);
    // The log at level TRACE holds neither the header nor a token.
    assert!(outcome.log.contains("azure_identity"), "it was logged");
    assert!(
        !outcome.log.contains(HEADER) && !outcome.log.contains("planted-token"),
        "{}",
        outcome.log
    );
}

#[tokio::test]
async fn a_client_id_selects_the_user_assigned_identity() {
    let server = Server::plain(endpoint);
    let address = format!("{}/msi/token", server.url);
    let outcome = in_a_container(&[
        ("IDENTITY_ENDPOINT", &address),
        ("IDENTITY_HEADER", HEADER),
        ("AZURE_CLIENT_ID", CLIENT),
        // The endpoint is on this machine, so the proxy is not used.
        ("HTTP_PROXY", "http://127.0.0.1:9"),
        ("http_proxy", "http://127.0.0.1:9"),
    ])
    .await;
    assert!(outcome.lines[0].starts_with(&format!("describe: user-assigned managed identity {CLIENT}, from")));
    assert_eq!(
        outcome.lines[1],
        format!("token: planted-token-of-{CLIENT}-for-https://storage.azure.com true")
    );
    server.request(1, |request| assert_eq!(request.query()["client_id"], CLIENT));
}

#[tokio::test]
async fn errors_of_the_endpoint_state_the_remedy() {
    let server = Server::plain(endpoint);
    let address = format!("{}/msi/token", server.url);
    let other = "00000000-1111-2222-3333-444444444444";
    let outcome = in_a_container(&[
        ("IDENTITY_ENDPOINT", &address),
        ("IDENTITY_HEADER", HEADER),
        ("AZURE_CLIENT_ID", other),
    ])
    .await;
    let line = &outcome.lines[1];
    assert!(
        line.contains(other) && line.contains("az containerapp identity assign"),
        "{line}"
    );
    assert!(
        line.contains("No User Assigned or Delegated Managed Identity found"),
        "{line}"
    );
    assert_eq!(
        server.requests(),
        2,
        "a rejected request is not repeated immediately, for each of the two scopes"
    );

    let outcome = in_a_container(&[("IDENTITY_ENDPOINT", &address), ("IDENTITY_HEADER", "another")]).await;
    let line = &outcome.lines[1];
    assert!(
        line.contains("refuses IDENTITY_HEADER with 401") && !line.contains("another"),
        "{line}"
    );
}

#[tokio::test]
async fn a_sidecar_that_starts_slowly_or_answers_nonsense_is_retried() {
    let server = Server::plain(|request, number| match number {
        1 => Reply::Json(500, r#"{"statusCode":500,"message":"starting"}"#.to_owned()),
        2 => Reply::Html(502, "<html>planted</html>".to_owned()),
        _ => token(request),
    });
    let address = format!("{}/msi/token", server.url);
    let outcome = in_a_container(&[("IDENTITY_ENDPOINT", &address), ("IDENTITY_HEADER", HEADER)]).await;
    assert!(outcome.lines[1].starts_with("token: "), "{outcome:?}");

    // Only nonsense: the error describes it without the content of the page.
    let server = Server::plain(|_, _| Reply::Html(200, "<html>planted</html>".to_owned()));
    let address = format!("{}/msi/token", server.url);
    let outcome = in_a_container(&[
        ("IDENTITY_ENDPOINT", &address),
        ("IDENTITY_HEADER", HEADER),
        (TOKEN_TIMEOUT, "100"),
    ])
    .await;
    let line = &outcome.lines[1];
    assert!(
        line.starts_with("waits: ") && line.contains("something else answers at IDENTITY_ENDPOINT"),
        "{line}"
    );
    assert!(
        !outcome.log.contains("planted") && !line.contains("planted"),
        "{}",
        outcome.log
    );
}

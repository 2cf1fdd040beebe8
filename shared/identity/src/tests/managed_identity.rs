//! Tests the managed identity endpoint of a container app.
//!
//! <https://learn.microsoft.com/azure/container-apps/managed-identity#rest-endpoint-reference>
//!
//! `azure_identity` reads its address from the process's own variables, so each test starts this test program again, as a
//! process that has them, and [`child`] asks for the token.

use super::server::{RecordedRequest, Reply, Server};
use super::*;

const HEADER: &str = "853b9a84-5bfa-4b22-a3f3-0b9a43d9ad8a";

/// Milliseconds that the child waits for each token.
const TOKEN_TIMEOUT: &str = "TEST_TOKEN_TIMEOUT_MS";

/// The output of a child process.
#[derive(Debug)]
struct Outcome {
    /// `describe: …`, `token: …`, `error: …`.
    lines: Vec<String>,
    /// Its log at level TRACE.
    log: String,
}

/// Asks for tokens in a process with the endpoint and these variables.
async fn in_a_container(server: &Server, variables: &[(&str, &str)]) -> Outcome {
    let address = format!("{}/msi/token", server.url);
    let own = [("IDENTITY_ENDPOINT", &*address), ("IDENTITY_HEADER", HEADER)];
    let output = alone("tests::managed_identity::child", &[&own, variables].concat()).await;
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
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let expires_on = now.as_secs() + 86_399;
    let query = request.query();
    let client = query.get("client_id").map_or("the-system-assigned-one", String::as_str);
    let body = format!(
        r#"{{"access_token":"planted-token-of-{client}-for-{resource}","expires_on":"{expires_on}","resource":"{resource}","token_type":"Bearer","client_id":"{client}"}}"#
    );
    Reply::json(200, body)
}

/// Checks a request as the endpoint does.
fn endpoint(request: &RecordedRequest, _: usize) -> Reply {
    if request.header("x-identity-header") != HEADER {
        return Reply::json(401, r#"{"statusCode":401,"message":"wrong header"}"#);
    }
    let query = request.query();
    let parameter = |name| query.get(name).map(String::as_str);
    let is_right = request.method == "GET"
        && request.uri.path() == "/msi/token"
        && parameter("api-version") == Some("2019-08-01")
        && parameter("resource").is_some_and(|resource| !resource.ends_with("/.default"))
        && matches!(parameter("client_id"), None | Some(CLIENT))
        && query.len() == 2 + usize::from(query.contains_key("client_id"));
    if is_right {
        return token(request);
    }
    Reply::json(
        400,
        r#"{"statusCode":400,"message":"No User Assigned or Delegated Managed Identity found for specified ClientId/ResourceId/PrincipalId.","correlationId":"5f5a"}"#,
    )
}

#[tokio::test]
async fn the_system_assigned_identity_gets_tokens() {
    let server = Server::plain(endpoint);
    let outcome = in_a_container(&server, &[]).await;
    let host = server.url.trim_start_matches("http://");
    let token = |resource: &str| format!("token: planted-token-of-the-system-assigned-one-for-{resource} true");
    let storage = token("https://storage.azure.com");
    let expected = [
        format!("describe: system-assigned managed identity, from {host}"),
        storage.clone(),
        token("https://evhns-xact.servicebus.windows.net"),
        storage,
    ];
    assert_eq!(outcome.lines, expected);
    assert_eq!(server.requests(), 2);
    // The log at level TRACE holds neither the header nor a token.
    let log = outcome.log;
    assert!(log.contains("azure_identity"), "it was logged");
    assert!(!log.contains(HEADER) && !log.contains("planted-token"), "{log}");
}

#[tokio::test]
async fn a_client_id_selects_the_user_assigned_identity() {
    let server = Server::plain(endpoint);
    // The endpoint is on this machine, so the proxy is not used.
    let proxy = "http://127.0.0.1:9";
    let variables = [
        ("AZURE_CLIENT_ID", CLIENT),
        ("HTTP_PROXY", proxy),
        ("http_proxy", proxy),
    ];
    let lines = in_a_container(&server, &variables).await.lines;
    let description = format!("describe: user-assigned managed identity {CLIENT}, from");
    assert!(lines[0].starts_with(&description), "{}", lines[0]);
    let token = format!("token: planted-token-of-{CLIENT}-for-https://storage.azure.com true");
    assert_eq!(lines[1], token);
}

#[tokio::test]
async fn errors_of_the_endpoint_state_the_remedy() {
    let server = Server::plain(endpoint);
    let other = "00000000-1111-2222-3333-444444444444";
    let outcome = in_a_container(&server, &[("AZURE_CLIENT_ID", other)]).await;
    let line = &outcome.lines[1];
    for part in [
        other,
        "az containerapp identity assign",
        "No User Assigned or Delegated Managed Identity found",
    ] {
        assert!(line.contains(part), "{line}");
    }
    // A rejected request is not repeated immediately; there are two scopes.
    assert_eq!(server.requests(), 2);

    let outcome = in_a_container(&server, &[("IDENTITY_HEADER", "another")]).await;
    let line = &outcome.lines[1];
    assert!(
        line.contains("refuses IDENTITY_HEADER with 401") && !line.contains("another"),
        "{line}"
    );
}

#[tokio::test]
async fn a_sidecar_that_starts_slowly_or_answers_nonsense_is_retried() {
    let server = Server::plain(|request, number| match number {
        1 => Reply::json(500, r#"{"statusCode":500,"message":"starting"}"#),
        2 => Reply::html(502, "<html>planted</html>"),
        _ => token(request),
    });
    let outcome = in_a_container(&server, &[]).await;
    assert!(outcome.lines[1].starts_with("token: "), "{outcome:?}");

    // Only nonsense: the error describes it without the content of the page.
    let server = Server::plain(|_, _| Reply::html(200, "<html>planted</html>"));
    let Outcome { lines, log } = in_a_container(&server, &[(TOKEN_TIMEOUT, "100")]).await;
    let line = &lines[1];
    assert!(line.starts_with("waits: "), "{line}");
    assert!(line.contains("something else answers at IDENTITY_ENDPOINT"), "{line}");
    assert!(!log.contains("planted") && !line.contains("planted"), "{log}");
}

//! Access: tokens, shared keys, closed workspaces, the admin endpoint.

use reqwest::{Certificate, Client};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{FILES, Lake, TOKEN, token};
use emulator_kit::certificates::ThrowAway;
use onelake_emulator::{Certificate as TlsCertificate, OneLake, Options, StartError};

async fn told(lake: &Lake, authorization: Option<&str>) -> (u16, String, String) {
    let request = lake.client.get(format!("{}{FILES}/a", lake.emulator.url()));
    let request = match authorization {
        Some(value) => request.header("Authorization", value),
        None => request,
    };
    let response = request.send().await.unwrap();
    let header = |name: &str| {
        response
            .headers()
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
            .to_owned()
    };
    (
        response.status().as_u16(),
        header("x-ms-error-code"),
        header("www-authenticate"),
    )
}

#[tokio::test]
async fn requests_without_valid_credentials_get_a_challenge() {
    let lake = Lake::start().await;
    lake.put(&format!("{FILES}/a"), "abc").await;
    assert_eq!(told(&lake, Some(&format!("Bearer {TOKEN}"))).await.0, 200);
    let challenge = "Bearer authorization_uri=https://login.microsoftonline.com/";
    let (status, code, header) = told(&lake, None).await;
    assert_eq!((status, code.as_str()), (401, "NoAuthenticationInformation"));
    assert!(
        header.starts_with(challenge) && header.ends_with("resource_id=https://storage.azure.com"),
        "{header}"
    );
    let (status, code, header) = told(&lake, Some("Bearer unknown")).await;
    assert_eq!((status, code.as_str()), (401, "InvalidAuthenticationInfo"));
    assert!(header.starts_with(challenge), "{header}");
    for (authorization, expected) in [
        ("Basic dTpw", (400, "InvalidAuthenticationInfo")),
        ("SharedKey nonsense", (400, "InvalidAuthenticationInfo")),
        ("SharedKey devstoreaccount1:AAAA", (403, "AuthenticationFailed")),
        ("SharedKey other:AAAA", (403, "AuthenticationFailed")),
    ] {
        let (status, code, _) = told(&lake, Some(authorization)).await;
        assert_eq!((status, code.as_str()), expected, "{authorization}");
    }
    assert_eq!(
        lake.client
            .get(format!("{}{FILES}/a?sig=x", lake.emulator.url()))
            .send()
            .await
            .unwrap()
            .status(),
        403
    );
}

#[tokio::test]
async fn a_refused_upload_is_read_to_its_end_so_that_the_client_gets_the_answer() {
    const LENGTH: usize = 20_000_000;
    let lake = Lake::start().await;
    // A client that looks for the answer when it has sent all, as many do.
    let mut stream = TcpStream::connect(lake.emulator.addr()).await.unwrap();
    let head = format!(
        "PUT {FILES}/a HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer unknown\r\nx-ms-blob-type: BlockBlob\r\nContent-Length: {LENGTH}\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&vec![7; LENGTH]).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
}

async fn admin(lake: &Lake, method: &str, path: &str, body: Value) -> (u16, String) {
    let answer = if body.is_null() {
        lake.send(method, path, &[], "").await
    } else {
        let json = [("Content-Type", "application/json")];
        lake.send(method, path, &json, body.to_string()).await
    };
    (answer.status, answer.text().to_owned())
}

#[tokio::test]
async fn tokens_are_added_removed_and_expire() {
    let lake = Lake::start().await;
    lake.put(&format!("{FILES}/a"), "abc").await;
    let status = async |token: &str| told(&lake, Some(&format!("Bearer {token}"))).await.0;
    let accept = async |expires: i64| {
        let body = json!({"token": "short", "principal": "upload", "expires_in_seconds": expires});
        assert_eq!(admin(&lake, "POST", "/__admin/tokens", body).await.0, 204);
    };
    assert_eq!(status("short").await, 401);
    accept(60).await;
    assert_eq!(status("short").await, 200);
    accept(-1).await;
    assert_eq!(status("short").await, 401, "it has expired");
    let (_, shown) = admin(&lake, "GET", "/__admin/tokens", Value::Null).await;
    assert!(shown.contains("upload") && !shown.contains("short"), "{shown}");
    accept(60).await;
    assert_eq!(
        admin(&lake, "DELETE", "/__admin/tokens", json!({"token": "short"}))
            .await
            .0,
        204
    );
    assert_eq!(status("short").await, 401);
    lake.emulator.accept_token(token("short", "upload"));
    assert_eq!(status("short").await, 200);
    lake.emulator.refuse_token("short");
    assert_eq!((status("short").await, status(TOKEN).await), (401, 200));
}

#[tokio::test]
async fn a_closed_workspace_is_a_403_for_its_principal() {
    let lake = Lake::start_with(|options| options.tokens.push(token("other", "other"))).await;
    lake.put(&format!("{FILES}/a"), "abc").await;
    let closed = json!({"workspace": "claims", "principal": "other"});
    assert_eq!(admin(&lake, "POST", "/__admin/closed", closed.clone()).await.0, 204);
    let (status, code, _) = told(&lake, Some("Bearer other")).await;
    assert_eq!((status, code.as_str()), (403, "AuthorizationPermissionMismatch"));
    assert_eq!(
        lake.get(&format!("{FILES}/a")).await.status,
        200,
        "the others are let in"
    );
    assert_eq!(
        admin(&lake, "POST", "/__admin/closed", json!({"workspace": "claims"}))
            .await
            .0,
        204
    );
    assert_eq!(
        lake.get(&format!("{FILES}/a")).await.outcome(),
        (403, "AuthorizationPermissionMismatch")
    );
    assert_eq!(
        admin(&lake, "DELETE", "/__admin/closed", json!({"workspace": "claims"}))
            .await
            .0,
        204
    );
    assert_eq!(lake.get(&format!("{FILES}/a")).await.status, 200);
    assert_eq!(told(&lake, Some("Bearer other")).await.0, 403);
    assert_eq!(admin(&lake, "DELETE", "/__admin/closed", Value::Null).await.0, 204);
    assert_eq!(told(&lake, Some("Bearer other")).await.0, 200);
}

#[tokio::test]
async fn the_admin_endpoint_has_a_help_page_and_refuses_invalid_requests() {
    let lake = Lake::start().await;
    let (status, help) = admin(&lake, "GET", "/__admin", Value::Null).await;
    assert_eq!(status, 200);
    for word in ["error-after", "cut-within", "put-block-list", "/__admin/closed"] {
        assert!(help.contains(word), "{word}");
    }
    assert_eq!(
        admin(&lake, "GET", "/__admin/health", Value::Null).await,
        (200, "ok\n".into())
    );
    assert_eq!(
        admin(&lake, "POST", "/__admin/faults", json!({"fault": "tired"}))
            .await
            .0,
        422
    );
    assert_eq!(
        admin(&lake, "POST", "/__admin/faults", json!({"fault": "slow", "every": 0}))
            .await
            .0,
        422
    );
    assert_eq!(admin(&lake, "GET", "/__admin/nothing", Value::Null).await.0, 404);
    assert_eq!(
        admin(&lake, "POST", "/__admin/items", json!({"workspace": "..", "name": "x"}))
            .await
            .0,
        422
    );
    let item = json!({"workspace": "new", "name": "Other.Lakehouse"});
    assert_eq!(admin(&lake, "POST", "/__admin/items", item).await.0, 201);
    assert_eq!(lake.put("/new/Other.Lakehouse/Tables/t", "x").await.status, 201);
    let (_, counts) = admin(&lake, "GET", "/__admin/requests", Value::Null).await;
    let counts: Value = serde_json::from_str(&counts).unwrap();
    assert_eq!(counts["verbs"]["put-blob"]["statuses"]["201"], 1, "{counts}");
    assert_eq!(admin(&lake, "DELETE", "/__admin/requests", Value::Null).await.0, 204);
    assert_eq!(lake.emulator.all_requests().len(), 0);
}

/// An address of this machine that is not loopback; to the emulator, another machine.
fn other_address() -> Option<std::net::IpAddr> {
    let socket = std::net::UdpSocket::bind("0.0.0.0:0").ok()?;
    // Sends nothing: it only asks the routing table.
    socket.connect("192.0.2.1:9").ok()?;
    let ip = socket.local_addr().ok()?.ip();
    (!ip.is_loopback() && !ip.is_unspecified()).then_some(ip)
}

#[tokio::test]
async fn the_admin_endpoint_requires_its_token_from_other_machines() {
    let Some(ip) = other_address() else {
        eprintln!("this machine has no address but loopback");
        return;
    };
    let lake = Lake::start_with(|options| {
        options.bind = "0.0.0.0:0".parse().unwrap();
        options.admin_token = Some("let me in".into());
    })
    .await;
    let url = |path: &str| format!("http://{ip}:{}{path}", lake.emulator.addr().port());
    let status = async |path: &str, token: &str| {
        let request = lake.client.get(url(path)).bearer_auth(token);
        request.send().await.unwrap().status().as_u16()
    };
    assert_eq!(status("/__admin/faults", "wrong").await, 403);
    assert_eq!(
        status("/__admin/faults", TOKEN).await,
        403,
        "a token for storage is not one for the admin endpoint"
    );
    assert_eq!(status("/__admin/faults", "let me in").await, 200);
    assert_eq!(status("/__admin/health", "").await, 200);
}

/// A throw-away authority, and the certificate for this machine that it has signed.
pub(crate) fn certificate() -> (String, TlsCertificate) {
    let made = ThrowAway::new(&["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
    (made.authority, made.certificate)
}

#[tokio::test]
async fn with_a_certificate_it_serves_only_https() {
    let (authority, tls) = certificate();
    let mut lake = Lake::start_with(|options| options.tls = Some(tls)).await;
    let ca = Certificate::from_pem(authority.as_bytes()).unwrap();
    lake.client = Client::builder().tls_certs_only([ca]).no_proxy().build().unwrap();
    assert!(lake.emulator.url().starts_with("https://"));
    assert_eq!(lake.put(&format!("{FILES}/a"), "abc").await.status, 201);
    assert_eq!(lake.get(&format!("{FILES}/a")).await.text(), "abc");
    let plain = lake
        .client
        .get(format!("http://{}/", lake.emulator.addr()))
        .send()
        .await;
    assert!(plain.is_err());
}

#[tokio::test]
async fn a_failed_start_returns_the_reason() {
    let lake = Lake::start().await;
    let error = async |change: &dyn Fn(&mut Options)| {
        let mut options = Options::new(lake.dir.join("other"));
        change(&mut options);
        OneLake::start(options).await.err().unwrap().to_string()
    };
    let taken = error(&|options| options.bind = lake.emulator.addr()).await;
    assert!(taken.contains("port 0"), "{taken}");
    let in_use = error(&|options| options.folder = lake.dir.path().into()).await;
    assert!(in_use.contains("another emulator"), "{in_use}");
    let file = lake.dir.join("file");
    std::fs::write(&file, "").unwrap();
    let no_folder = error(&|options| options.folder = file.clone()).await;
    assert!(no_folder.contains("choose a folder"), "{no_folder}");
    let account = error(&|options| options.account = Some("nonsense".into())).await;
    assert!(account.contains("NAME=KEY"), "{account}");
    let (_, mut tls) = certificate();
    tls.key = b"no key".to_vec();
    let mut options = Options::new(lake.dir.join("other"));
    options.tls = Some(tls);
    assert!(matches!(
        OneLake::start(options).await.err().unwrap(),
        StartError::Server(_)
    ));
}

//! Access: tokens, shared keys, closed workspaces, the admin endpoint.

use reqwest::{Certificate, Client};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{Answer, FILES, Lake, TOKEN, token};
use emulator_kit::certificates::ThrowAway;
use onelake_emulator::{Certificate as TlsCertificate, OneLake, Options, StartError};

async fn read_as(lake: &Lake, authorization: &str) -> Answer {
    lake.send("GET", "a", &[("Authorization", authorization)], "").await
}

#[tokio::test]
async fn requests_without_valid_credentials_get_a_challenge() {
    let lake = Lake::start().await;
    lake.put("a", "abc").await;
    let anonymous = async |path: &str| {
        let response = lake.client.get(lake.url(path)).send().await.unwrap();
        Answer::of(response).await.unwrap()
    };
    let is_challenge = |answer: &Answer| {
        let header = answer.header("www-authenticate");
        header.starts_with("Bearer authorization_uri=https://login.microsoftonline.com/")
            && header.ends_with("resource_id=https://storage.azure.com")
    };
    let answer = anonymous("a").await;
    assert_eq!(answer, "401 NoAuthenticationInformation");
    assert!(is_challenge(&answer), "{answer:?}");
    assert_eq!(anonymous("a?sig=x").await.status, 403);
    for (authorization, outcome) in [
        (&*format!("Bearer {TOKEN}"), "200"),
        ("Bearer unknown", "401 InvalidAuthenticationInfo"),
        ("Basic dTpw", "400 InvalidAuthenticationInfo"),
        ("SharedKey nonsense", "400 InvalidAuthenticationInfo"),
        ("SharedKey devstoreaccount1:AAAA", "403 AuthenticationFailed"),
        ("SharedKey other:AAAA", "403 AuthenticationFailed"),
    ] {
        let answer = read_as(&lake, authorization).await;
        assert_eq!(answer, outcome, "{authorization}");
        assert_eq!(is_challenge(&answer), answer.status == 401, "{authorization}");
    }
}

#[tokio::test]
async fn a_refused_upload_is_read_to_its_end_so_that_the_client_gets_the_answer() {
    const LENGTH: usize = 20_000_000;
    let lake = Lake::start().await;
    // A client that reads the answer when it has sent everything, as many do.
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

#[tokio::test]
async fn tokens_are_added_removed_and_expire() {
    let lake = Lake::start().await;
    lake.put("a", "abc").await;
    let status = async |token: &str| read_as(&lake, &format!("Bearer {token}")).await.status;
    let accept = async |expires: i64| {
        let body = json!({"token": "short", "principal": "upload", "expires_in_seconds": expires});
        assert_eq!(lake.admin("POST", "tokens", body).await, "204");
    };
    assert_eq!(status("short").await, 401);
    accept(60).await;
    assert_eq!(status("short").await, 200);
    accept(-1).await;
    assert_eq!(status("short").await, 401, "it has expired");
    let shown = lake.get("/__admin/tokens").await;
    let shown = shown.text();
    assert!(shown.contains("upload") && !shown.contains("short"), "{shown}");
    accept(60).await;
    let removed = lake.admin("DELETE", "tokens", json!({"token": "short"})).await;
    assert_eq!(removed, "204");
    assert_eq!((status("short").await, status(TOKEN).await), (401, 200));
}

#[tokio::test]
async fn a_closed_workspace_is_a_403_for_its_principal() {
    let lake = Lake::start_with(|options| options.tokens.push(token("other"))).await;
    lake.put("a", "abc").await;
    for (method, body, status, status_of_other) in [
        ("POST", json!({"workspace": "claims", "principal": "other"}), 200, 403),
        ("POST", json!({"workspace": "claims"}), 403, 403),
        ("DELETE", json!({"workspace": "claims"}), 200, 403),
        ("DELETE", Value::Null, 200, 200),
    ] {
        assert_eq!(lake.admin(method, "closed", body).await, "204");
        for (answer, status) in [
            (lake.get("a").await, status),
            (read_as(&lake, "Bearer other").await, status_of_other),
        ] {
            let code = if status == 403 {
                "AuthorizationPermissionMismatch"
            } else {
                ""
            };
            assert_eq!((answer.status, answer.header("x-ms-error-code")), (status, code));
        }
    }
}

#[tokio::test]
async fn the_admin_endpoint_has_a_help_page_and_refuses_invalid_requests() {
    let lake = Lake::start().await;
    let help = lake.get("/__admin").await;
    assert_eq!(help, "200");
    for word in ["error-after", "cut-within", "put-block-list", "/__admin/closed"] {
        assert!(help.text().contains(word), "{word}");
    }
    assert_eq!(lake.get("/__admin/health").await.text(), "ok\n");
    assert_eq!(lake.get("/__admin/nothing").await, "404");
    for (path, body, outcome) in [
        ("faults", json!({"fault": "tired"}), "422"),
        ("faults", json!({"fault": "slow", "every": 0}), "422"),
        ("items", json!({"workspace": "..", "name": "x"}), "422"),
        ("items", json!({"workspace": "new", "name": "Other.Lakehouse"}), "201"),
    ] {
        assert_eq!(lake.admin("POST", path, body).await, outcome, "{path}");
    }
    assert_eq!(lake.put("/new/Other.Lakehouse/Tables/t", "x").await, "201");
    let counts = lake.get("/__admin/requests").await.json();
    assert_eq!(counts["verbs"]["put-blob"]["statuses"]["201"], 1, "{counts}");
    assert_eq!(lake.delete("/__admin/requests").await, "204");
    assert_eq!(lake.get("/__admin/requests").await.json()["verbs"], json!({}));
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
    for (path, token, status) in [
        ("faults", "wrong", 403),
        // A token for storage is not one for the admin endpoint.
        ("faults", TOKEN, 403),
        ("faults", "let me in", 200),
        ("health", "", 200),
    ] {
        let url = format!("http://{ip}:{}/__admin/{path}", lake.emulator.addr().port());
        let answer = lake.client.get(url).bearer_auth(token).send().await.unwrap();
        assert_eq!(answer.status(), status, "{path} with {token}");
    }
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
    assert_eq!(lake.put("a", "abc").await, "201");
    assert_eq!(lake.get("a").await.text(), "abc");
    let plain = lake.client.get(format!("http://{}/", lake.emulator.addr()));
    assert!(plain.send().await.is_err());
}

#[tokio::test]
async fn a_failed_start_returns_the_reason() {
    let lake = Lake::start().await;
    let error = async |change: &dyn Fn(&mut Options)| {
        let mut options = Options::new(lake.dir.join("other"));
        change(&mut options);
        OneLake::start(options).await.err().unwrap()
    };
    let file = lake.dir.join("file");
    std::fs::write(&file, "").unwrap();
    let taken = error(&|options| options.bind = lake.emulator.addr()).await;
    let in_use = error(&|options| options.folder = lake.dir.path().into()).await;
    let no_folder = error(&|options| options.folder = file.clone()).await;
    for (error, reason) in [
        (taken, "port 0"),
        (in_use, "another emulator"),
        (no_folder, "choose a folder"),
    ] {
        assert!(error.to_string().contains(reason), "{error}");
    }
    let (_, mut tls) = certificate();
    tls.key = b"no key".to_vec();
    let error = error(&|options| options.tls = Some(tls.clone())).await;
    assert!(matches!(error, StartError::Server(_)), "{error}");
}

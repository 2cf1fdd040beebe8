//! The endpoint of the managed identity issues tokens that the emulator accepts.
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use reqwest::{Client, StatusCode};
use serde_json::Value;

use onelake_emulator::{Item, ManagedIdentity, OneLake, Options};
use xact_testkit::WorkDir;

const HEADER: &str = "853b9a84-5bfa-4b22-a3f3-0b9a43d9ad8a";
const STORAGE: &str = "https://storage.azure.com";

struct Fixture {
    onelake: OneLake,
    identity: ManagedIdentity,
    client: Client,
    _folder: WorkDir,
}

impl Fixture {
    async fn start() -> Self {
        let folder = WorkDir::new("identity").unwrap();
        let options = Options {
            items: vec![Item::new("claims", "Lake.Lakehouse")],
            ..Options::new(folder.path())
        };
        let onelake = OneLake::start(options).await.unwrap();
        let bind = "127.0.0.1:0".parse().unwrap();
        Self {
            identity: ManagedIdentity::start(bind, HEADER.to_owned(), &onelake).await.unwrap(),
            onelake,
            client: Client::builder().no_proxy().build().unwrap(),
            _folder: folder,
        }
    }

    async fn ask(&self, header: &str, query: &[(&str, &str)]) -> (StatusCode, Value) {
        let url = format!("{}?api-version=2019-08-01", self.identity.url());
        let query: String = query.iter().map(|(name, value)| format!("&{name}={value}")).collect();
        let request = self.client.get(url + &query).header("X-IDENTITY-HEADER", header);
        let answer = request.send().await.unwrap();
        let status = answer.status();
        (status, serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap())
    }

    async fn status_with(&self, token: &str) -> StatusCode {
        let url = format!("{}/claims?resource=filesystem&recursive=true", self.onelake.url());
        self.client.get(url).bearer_auth(token).send().await.unwrap().status()
    }
}

#[tokio::test]
async fn its_tokens_are_accepted_and_no_others() {
    let fixture = Fixture::start().await;
    let (status, first) = fixture.ask(HEADER, &[("resource", STORAGE)]).await;
    assert_eq!(status, StatusCode::OK, "{first}");
    assert_eq!(
        (&first["token_type"], &first["resource"]),
        (&"Bearer".into(), &STORAGE.into())
    );
    let token = first["access_token"].as_str().unwrap();
    assert_eq!(fixture.status_with(token).await, StatusCode::OK);
    let other = token.replace('e', "f");
    assert_eq!(fixture.status_with(&other).await, StatusCode::UNAUTHORIZED);

    let lives: i64 = first["expires_on"].as_str().unwrap().parse().unwrap();
    let lives = lives - jiff::Timestamp::now().as_second();
    assert!((3_590..=3_600).contains(&lives), "{lives}");
    // A client id becomes the principal.
    let client = "1b0f7a52-7d0e-4f0a-8f0a-2a4c1d9e8b77";
    let query = [("resource", "https://storage.azure.com/"), ("client_id", client)];
    let (_, second) = fixture.ask(HEADER, &query).await;
    assert_eq!(second["client_id"], client);
    assert_ne!(second["access_token"], first["access_token"]);
}

#[tokio::test]
async fn a_wrong_header_and_another_resource_are_refused() {
    let fixture = Fixture::start().await;
    for (header, resource, status) in [
        ("", STORAGE, StatusCode::UNAUTHORIZED),
        ("853b9a84", STORAGE, StatusCode::UNAUTHORIZED),
        (HEADER, "https://vault.azure.net", StatusCode::BAD_REQUEST),
        (HEADER, "", StatusCode::BAD_REQUEST),
    ] {
        let query = [("resource", resource)];
        let query = if resource.is_empty() { &[][..] } else { &query };
        let (answered, body) = fixture.ask(header, query).await;
        assert_eq!(answered, status, "{body}");
        assert!(body["access_token"].is_null(), "{body}");
    }
}

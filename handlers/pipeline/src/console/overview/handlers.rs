//! What the handlers say about themselves: the reasons of their `/health/ready`, where it can be reached.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use jiff::SignedDuration;
use reqwest::redirect;
use serde::Deserialize;

use super::cached::{Answer, Cached};
use xact_config::Settings;
use xact_contracts::topology::Stage;

const MAX_AGE: SignedDuration = SignedDuration::from_secs(4);
const TIMEOUT: Duration = Duration::from_secs(1);
const MAX_BYTES: usize = 64 * 1024;

/// The addresses of handlers.
pub(super) struct Handlers {
    client: reqwest::Client,
    addresses: Arc<Vec<String>>,
    /// Whether somebody has named them: then silence is worth a line.
    are_named: bool,
    cached: Arc<Cached<Vec<Readiness>>>,
}

/// What one handler has answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Readiness {
    pub(super) address: String,
    /// Why it is not ready, by component; `None`: it does not answer.
    pub(super) reasons: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
struct Ready {
    reasons: BTreeMap<String, String>,
}

impl Handlers {
    pub(super) fn new(settings: &Settings) -> Self {
        let named = &settings.console.handlers;
        let local = || local(settings.metrics_address).map(|address| address.to_string());
        let client = reqwest::Client::builder()
            .no_proxy()
            .redirect(redirect::Policy::none())
            .timeout(TIMEOUT);
        Self {
            // Only invalid TLS settings are an error, and there are none.
            client: client.build().unwrap_or_default(),
            addresses: Arc::new(if named.is_empty() {
                local().into_iter().collect()
            } else {
                named.clone()
            }),
            are_named: !named.is_empty(),
            cached: Cached::new(MAX_AGE),
        }
    }

    pub(super) fn refresh(&self) {
        self.cached.refresh(|| {
            let (client, addresses, are_named) = (self.client.clone(), self.addresses.clone(), self.are_named);
            async move {
                let asked = addresses.iter().map(|address| ask(&client, address));
                let answers = join_all(asked).await.into_iter();
                Ok(answers.filter(|answer| are_named || answer.reasons.is_some()).collect())
            }
        });
    }

    pub(super) async fn latest(&self, wait: Duration) -> Option<Arc<Answer<Vec<Readiness>>>> {
        self.cached.latest(wait).await
    }
}

/// Returns the address at which this machine reaches a listener of its own; `None` for any port.
fn local(address: SocketAddr) -> Option<SocketAddr> {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    (address.port() != 0).then(|| SocketAddr::new(ip, address.port()))
}

async fn ask(client: &reqwest::Client, address: &str) -> Readiness {
    Readiness {
        address: address.to_owned(),
        reasons: reasons(client, address).await,
    }
}

async fn reasons(client: &reqwest::Client, address: &str) -> Option<BTreeMap<String, String>> {
    let mut response = client.get(format!("http://{address}/health/ready")).send().await.ok()?;
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.ok()? {
        body.extend_from_slice(&chunk);
        if body.len() > MAX_BYTES {
            return None;
        }
    }
    let answer: Ready = serde_json::from_slice(&body).ok()?;
    Some(answer.reasons)
}

/// Returns the stage of a component: `download`, `download-2` and `download/lake` are of the stage download.
fn stage_of(component: &str) -> Option<Stage> {
    let worker = component.split('/').next()?;
    let numbered = worker
        .rsplit_once('-')
        .filter(|(_, number)| number.parse::<u32>().is_ok());
    let name = numbered.map_or(worker, |(name, _)| name);
    name.parse().ok()
}

impl Readiness {
    /// Returns the reasons of one stage, or with `None` those that are of none.
    pub(super) fn of(&self, stage: Option<Stage>) -> impl Iterator<Item = (&str, &str)> {
        let reasons = self.reasons.iter().flatten();
        reasons
            .filter(move |(component, _)| stage_of(component) == stage)
            .map(|(component, reason)| (component.as_str(), reason.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::http::StatusCode;
    use axum::routing::get;
    use tokio::net::TcpListener;

    use super::*;

    #[test]
    fn a_component_is_of_the_stage_that_it_begins_with() {
        for (component, stage) in [
            ("download", Some(Stage::Download)),
            ("download-2", Some(Stage::Download)),
            ("retry-scheduler/broker", Some(Stage::RetryScheduler)),
            (
                "result-processor-11/table xact_attachments",
                Some(Stage::ResultProcessor),
            ),
            ("producer", None),
            ("process", None),
            ("", None),
        ] {
            assert_eq!(stage_of(component), stage, "{component}");
        }
    }

    #[test]
    fn a_listener_on_all_addresses_is_reached_over_loopback() {
        let local = |text: &str| local(text.parse().unwrap()).map(|address| address.to_string());
        assert_eq!(local("0.0.0.0:8000").as_deref(), Some("127.0.0.1:8000"));
        assert_eq!(local("[::]:8000").as_deref(), Some("[::1]:8000"));
        assert_eq!(local("10.0.0.7:0"), None);
    }

    #[tokio::test]
    async fn reasons_are_read_and_whatever_is_none_is_no_answer() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let body = r#"{"ready":false,"reasons":{"upload/lake":"403","producer":"no broker"}}"#;
        let app = Router::new().route(
            "/health/ready",
            get(move || async move { (StatusCode::SERVICE_UNAVAILABLE, body) }),
        );
        let serving = tokio::spawn(async move { axum::serve(listener, app).await });
        let client = reqwest::Client::new();
        let answer = ask(&client, &address).await;
        assert!(answer.of(Some(Stage::Upload)).eq([("upload/lake", "403")]));
        assert!(answer.of(None).eq([("producer", "no broker")]));
        assert_eq!(answer.of(Some(Stage::Download)).count(), 0);
        serving.abort();
        let large = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = large.local_addr().unwrap().to_string();
        let app = Router::new().fallback(get(|| async { "x".repeat(2 * MAX_BYTES) }));
        tokio::spawn(async move { axum::serve(large, app).await });
        assert_eq!(ask(&client, &address).await.reasons, None);
    }
}

//! How a connection classifies librdkafka's errors and statistics, and serves its token requests.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::SystemTime;

use super::*;
use crate::connection_error::tests::cluster;
use xact_config::Security;
use xact_identity::{Fetched, Identity, IdentityError, TokenSource};

/// A connection that reports as `broker`, with the health that it reports to.
fn reporting() -> (Connection, Health) {
    let health = Health::default();
    let reporter = HealthReporter {
        health: health.clone(),
        component: "download/broker".to_owned(),
        response_timeout: Duration::from_secs(10),
    };
    let connection = Connection::for_consumer(&cluster(Security::Plaintext), reporter);
    (connection, health)
}

fn with_brokers(brokers: impl IntoIterator<Item = Broker>) -> Statistics {
    let named = |(at, broker): (usize, Broker)| (at.to_string(), broker);
    Statistics {
        brokers: brokers.into_iter().enumerate().map(named).collect(),
        ..Statistics::default()
    }
}

/// A broker in this state for this time, with open requests for as long.
fn broker(source: &str, state: &str, open_requests: i64, seconds: i64) -> Broker {
    Broker {
        source: source.to_owned(),
        state: state.to_owned(),
        stateage: seconds * 1_000_000,
        waitresp_cnt: open_requests,
        rxidle: seconds * 1_000_000,
        ..Broker::default()
    }
}

#[test]
fn all_brokers_down_does_not_replace_a_specific_error() {
    let (connection, health) = reporting();
    let reports = |code, words: &str| {
        connection.error(KafkaError::Global(code), "from librdkafka");
        let reasons = health.not_ready();
        assert!(reasons["download/broker"].contains(words), "{code:?}: {reasons:?}");
    };
    reports(RDKafkaErrorCode::AllBrokersDown, "no broker answers");
    reports(RDKafkaErrorCode::Resolve, "name is unknown");
    reports(RDKafkaErrorCode::AllBrokersDown, "name is unknown");
    reports(RDKafkaErrorCode::BrokerTransportFailure, "no broker answers");

    connection.error(KafkaError::Global(RDKafkaErrorCode::Resolve), "");
    connection.stats(with_brokers([broker("learned", "UP", 0, 0)]));
    assert!(health.not_ready().is_empty());
    reports(RDKafkaErrorCode::AllBrokersDown, "no broker answers");
}

#[test]
fn a_broker_that_owes_a_response_too_long_is_reported() {
    let (connection, health) = reporting();
    let owing = |seconds| with_brokers([broker("learned", "UP", 1, seconds)]);
    connection.stats(owing(9));
    assert!(health.not_ready().is_empty());
    connection.stats(owing(12));
    let text = &health.not_ready()["download/broker"];
    let is_explained = text.contains("connected but has not answered") && text.contains("for 12 s");
    assert!(is_explained, "{text}");
    connection.stats(owing(1));
    assert!(health.not_ready().is_empty());
}

#[test]
fn only_a_connected_broker_that_owes_a_response_is_overdue() {
    let after = |source, state, requests| longest_overdue(&with_brokers([broker(source, state, requests, 12)]));
    assert_eq!(after("learned", "UP", 1), Some(Duration::from_secs(12)));
    assert_eq!(after("learned", "UP", 0), None, "no request is open");
    assert_eq!(after("logical", "UP", 1), None, "the group rebalances");
    assert_eq!(after("learned", "DOWN", 1), None, "reported as a connection error");
}

#[test]
fn a_client_without_brokers_is_lost_after_some_statistics() {
    let broker = |source, state, seconds| broker(source, state, 0, seconds);
    let others = [broker("internal", "UP", 300), broker("logical", "UP", 300)];
    let is_lost_with = |known: &[Broker]| {
        let (connection, _) = reporting();
        let statistics = || with_brokers(others.iter().chain(known).cloned());
        for _ in 1..MAX_STATISTICS_WITHOUT_BROKER {
            connection.stats(statistics());
            assert!(!connection.has_lost_all_brokers(), "too early: {known:?}");
        }
        connection.stats(statistics());
        let is_lost = connection.has_lost_all_brokers();
        connection.stats(with_brokers([broker("configured", "TRY_CONNECT", 0)]));
        assert!(!connection.has_lost_all_brokers(), "it tries again");
        is_lost
    };
    assert!(is_lost_with(&[]), "no broker at all");
    assert!(is_lost_with(&[broker("learned", "INIT", 20)]), "given up, not removed");
    assert!(is_lost_with(&[broker("learned", "DOWN", 20)]), "given up, not removed");
    for (source, state, seconds) in [
        ("learned", "UP", 3000),
        ("configured", "TRY_CONNECT", 30),
        ("configured", "CONNECT", 30),
        ("learned", "APIVERSION_QUERY", 10),
        ("learned", "INIT", 2),
    ] {
        assert!(!is_lost_with(&[broker(source, state, seconds)]), "{source} {state}");
        let both = [broker("learned", "INIT", 60), broker(source, state, seconds)];
        assert!(!is_lost_with(&both), "one of two is enough: {source} {state}");
    }
}

/// Issues numbered tokens that are valid for an hour, or fails.
struct Source {
    asked: AtomicU32,
    fails: bool,
}

#[async_trait::async_trait]
impl TokenSource for Source {
    async fn fetch(&self, scope: &str) -> Result<Fetched, IdentityError> {
        assert_eq!(scope, "https://evhns-xact.servicebus.windows.net/.default");
        let number = self.asked.fetch_add(1, Ordering::Relaxed);
        if self.fails {
            return Err(IdentityError::NoneConfigured);
        }
        Ok(Fetched {
            secret: format!("token-{number}").into(),
            expires_at: SystemTime::now() + Duration::from_secs(3600),
        })
    }
}

fn by_identity(fails: bool) -> Connection {
    let source = Source {
        asked: AtomicU32::new(0),
        fails,
    };
    let identity = Identity::from_source("test", Arc::new(source));
    Connection::for_metadata_client(&cluster(Security::Identity(identity)))
}

#[test]
fn tokens_are_provided_on_a_thread_without_a_runtime() {
    let connection = by_identity(false);
    assert!(!connection.is_ready_to_connect());
    let token = connection.generate_oauth_token(None).unwrap();
    assert_eq!(token.token, "token-0");
    assert!(connection.is_ready_to_connect());
    let again = connection.generate_oauth_token(None).unwrap();
    assert_eq!(again.token, "token-0", "it is cached");
    assert!(!format!("{connection:?}").contains("token-0"));
    // librdkafka refreshes it long before it expires.
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let left = u128::try_from(token.lifetime_ms).unwrap() - now.as_millis();
    assert!((290_000..=300_000).contains(&left), "{left} ms");
}

#[test]
fn a_rejected_token_is_replaced_once() {
    let connection = by_identity(false);
    let next = || connection.generate_oauth_token(None).unwrap().token;
    let refuse = || {
        let error = KafkaError::Global(RDKafkaErrorCode::Authentication);
        connection.error(error, "SASL OAUTHBEARER authentication failed: invalid_token");
    };
    assert_eq!(next(), "token-0");
    refuse();
    let text = connection.current_error().unwrap().to_string();
    assert!(text.contains("token of the Azure identity is refused"), "{text}");
    assert_eq!(next(), "token-1");
    refuse();
    assert_eq!(next(), "token-1", "a genuine rejection does not loop");
}

#[test]
fn a_failed_token_request_is_explained() {
    let connection = by_identity(true);
    let Err(error) = connection.generate_oauth_token(None) else {
        panic!("there is no token");
    };
    assert!(error.to_string().contains("az login"), "{error}");
    // The error as librdkafka reports it.
    let reason = format!("Failed to acquire SASL OAUTHBEARER token: {error}");
    connection.error(KafkaError::Global(RDKafkaErrorCode::Authentication), &reason);
    let text = connection.current_error().unwrap().to_string();
    let is_explained = text.contains("there is no token of the Azure identity") && text.contains("az login");
    assert!(is_explained, "{text}");
}

//! Tests renewal in paused time.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use futures::future::join_all;
use secrecy::ExposeSecret;
use tokio::time::{Instant, advance, sleep};

use crate::{Fetched, Forgotten, Identity, IdentityError, Token, TokenSource};

const SCOPE: &str = "https://storage.azure.com/.default";
const HOUR: Duration = Duration::from_secs(3600);
const MINUTE: Duration = Duration::from_secs(60);

/// Returns the scripted results, then tokens with a lifetime of one hour.
#[derive(Default)]
struct Server {
    script: Mutex<Script>,
}

#[derive(Default)]
struct Script {
    answers: VecDeque<Result<Duration, IdentityError>>,
    always: Option<Result<Duration, IdentityError>>,
    delay: Duration,
    asked: Vec<(String, Instant)>,
}

impl Server {
    fn start() -> (Arc<Self>, Identity) {
        let server = Arc::new(Self::default());
        let identity = Identity::from_source("a test's identity", server.clone());
        (server, identity)
    }

    fn will(&self, change: impl FnOnce(&mut Script)) {
        change(&mut self.script.lock().unwrap());
    }

    fn requests(&self) -> usize {
        self.script.lock().unwrap().asked.len()
    }

    fn times(&self) -> Vec<Instant> {
        self.script.lock().unwrap().asked.iter().map(|(_, at)| *at).collect()
    }
}

#[async_trait::async_trait]
impl TokenSource for Server {
    async fn fetch(&self, scope: &str) -> Result<Fetched, IdentityError> {
        let (number, delay, answer) = {
            let mut script = self.script.lock().unwrap();
            script.asked.push((scope.to_owned(), Instant::now()));
            let answer = script.answers.pop_front().or_else(|| script.always.clone());
            (script.asked.len(), script.delay, answer.unwrap_or(Ok(HOUR)))
        };
        sleep(delay).await;
        answer.map(|life| Fetched {
            secret: format!("token {number} for {scope}").into(),
            expires_at: SystemTime::now() + life,
        })
    }
}

fn unavailable(retry_after: Option<Duration>) -> IdentityError {
    IdentityError::Unavailable {
        who: "a test".to_owned(),
        reason: "503".to_owned(),
        retry_after,
    }
}

fn passing() -> IdentityError {
    unavailable(None)
}

fn lasting() -> IdentityError {
    IdentityError::ActionRequired("the secret of client 1 has expired".to_owned())
}

fn text(token: &Token) -> &str {
    token.secret.expose_secret()
}

/// Returns the number of the request that the current token is from, which a caller gets without waiting.
async fn current(identity: &Identity) -> u32 {
    let before = Instant::now();
    let token = identity.token(SCOPE).await.unwrap();
    assert_eq!(Instant::now(), before, "no caller waits");
    number(&token)
}

/// Returns the number of the request that a token is from.
fn number(token: &Token) -> u32 {
    text(token).split(' ').nth(1).unwrap().parse().unwrap()
}

/// Runs the other tasks until they wait.
async fn settle() {
    sleep(Duration::from_millis(1)).await;
}

#[tokio::test(start_paused = true)]
async fn many_callers_at_once_make_one_request() {
    let (server, identity) = Server::start();
    server.will(|script| script.delay = Duration::from_secs(3));
    let tokens = join_all((0..100).map(|_| identity.token(SCOPE))).await;
    assert!(tokens.into_iter().all(|token| number(&token.unwrap()) == 1));
    assert_eq!(server.requests(), 1);
    // Each scope has its own token.
    let scope = "https://ns.servicebus.windows.net/.default";
    let other = identity.token(scope).await.unwrap();
    assert_eq!(text(&other), format!("token 2 for {scope}"));
    assert_eq!(identity.status().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn no_caller_waits_for_a_slow_renewal() {
    let (server, identity) = Server::start();
    identity.token(SCOPE).await.unwrap();
    server.will(|script| script.delay = 9 * MINUTE);
    // The renewal begins between minutes 42 and 48, and takes nine.
    sleep(49 * MINUTE).await;
    assert_eq!(server.requests(), 2);
    for _ in 0..1000 {
        assert_eq!(current(&identity).await, 1);
    }
    sleep(9 * MINUTE).await;
    assert_eq!(current(&identity).await, 2);
    assert_eq!(server.requests(), 2);
}

#[tokio::test(start_paused = true)]
async fn tokens_are_renewed_without_callers() {
    let (server, identity) = Server::start();
    let start = Instant::now();
    identity.token(SCOPE).await.unwrap();
    sleep(24 * HOUR).await;
    let times = server.times();
    assert!((29..=35).contains(&times.len()), "{}", times.len());
    for pair in times.windows(2) {
        let life = pair[1] - pair[0];
        assert!((42 * MINUTE..=49 * MINUTE).contains(&life), "{life:?}");
    }
    assert!(start.elapsed() >= 24 * HOUR && identity.peek(SCOPE).is_some());
}

#[tokio::test(start_paused = true)]
async fn while_renewal_fails_the_old_token_is_used_and_attempts_back_off() {
    let (server, identity) = Server::start();
    identity.token(SCOPE).await.unwrap();
    server.will(|script| script.always = Some(Err(passing())));
    sleep(59 * MINUTE).await;
    assert_eq!(current(&identity).await, 1);
    let status = identity.status().remove(0);
    assert!(status.expires_at.is_some() && status.failure == Some(passing()) && status.received == 1);
    // Eleven to eighteen minutes, at most every 30 seconds and a jitter, after a few quick ones.
    let failed = status.failed;
    assert!((10..=45).contains(&failed), "{failed}");

    // From half a minute before its expiry, callers get the error of the renewal instead of the token.
    sleep(MINUTE).await;
    assert!(identity.peek(SCOPE).is_none());
    let before = Instant::now();
    assert_eq!(identity.token(SCOPE).await.unwrap_err(), passing());
    assert!(before.elapsed() <= Duration::from_secs(66));

    // No restart is needed.
    server.will(|script| script.always = None);
    assert!(number(&identity.token(SCOPE).await.unwrap()) > 1);
    assert_eq!(identity.status()[0].failure, None);
}

#[tokio::test(start_paused = true)]
async fn a_caller_without_a_token_waits_through_transient_errors() {
    let (server, identity) = Server::start();
    // Like a container whose identity sidecar starts later.
    server.will(|script| script.answers.extend([Err(passing()), Err(passing()), Ok(HOUR)]));
    let before = Instant::now();
    assert_eq!(number(&identity.token(SCOPE).await.unwrap()), 3);
    assert!(before.elapsed() < Duration::from_secs(10));
}

#[tokio::test(start_paused = true)]
async fn a_lasting_error_is_returned_at_once_and_callers_cause_no_requests() {
    let (server, identity) = Server::start();
    server.will(|script| script.always = Some(Err(lasting())));
    let before = Instant::now();
    for _ in 0..1000 {
        assert_eq!(identity.token(SCOPE).await.unwrap_err(), lasting());
    }
    assert_eq!(Instant::now(), before);
    assert_eq!(server.requests(), 1);
    sleep(HOUR).await;
    let in_an_hour = server.requests();
    assert!((30..=70).contains(&in_an_hour), "{in_an_hour}");
    // After an operator has fixed it, there is a token within two minutes.
    server.will(|script| script.always = None);
    sleep(2 * MINUTE).await;
    assert!(identity.peek(SCOPE).is_some());
}

#[tokio::test(start_paused = true)]
async fn a_token_that_many_callers_discard_is_replaced_once() {
    let (server, identity) = Server::start();
    let first = identity.token(SCOPE).await.unwrap();
    for _ in 0..20 {
        assert_eq!(identity.forget(SCOPE, &first), Forgotten::Replaced);
    }
    assert!(identity.peek(SCOPE).is_none(), "what was refused is not handed out");
    let tokens = join_all((0..20).map(|_| identity.token(SCOPE))).await;
    assert!(tokens.into_iter().all(|token| number(&token.unwrap()) == 2));
    // A late caller with the first token does not discard the second one.
    assert_eq!(identity.forget(SCOPE, &first), Forgotten::Replaced);
    assert!(identity.peek(SCOPE).is_some());
    assert_eq!(server.requests(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_second_401_does_not_cause_a_loop() {
    let (server, identity) = Server::start();
    let mut token = identity.token(SCOPE).await.unwrap();
    let mut attempts = 0;
    while identity.forget(SCOPE, &token) == Forgotten::Replaced {
        attempts += 1;
        assert!(attempts < 10, "a loop");
        token = identity.token(SCOPE).await.unwrap();
    }
    assert_eq!((attempts, server.requests()), (1, 2));
    // The refused token stays: another would not be better.
    assert!(identity.peek(SCOPE).is_some());
    // A later 401 discards the token once again.
    sleep(6 * MINUTE).await;
    assert_eq!(identity.forget(SCOPE, &token), Forgotten::Replaced);
    let third = identity.token(SCOPE).await.unwrap();
    assert_eq!(identity.forget(SCOPE, &third), Forgotten::Refused);
    assert_eq!(server.requests(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_discarded_token_waits_for_the_request_in_flight() {
    let (server, identity) = Server::start();
    let first = identity.token(SCOPE).await.unwrap();
    server.will(|script| script.delay = 7 * MINUTE);
    // Discarded while the renewal is in flight: callers wait for its token.
    sleep(48 * MINUTE + Duration::from_secs(30)).await;
    let under_way = server.requests();
    assert_eq!(number(&identity.peek(SCOPE).unwrap()), 1);
    assert_eq!(identity.forget(SCOPE, &first), Forgotten::Replaced);
    while identity.peek(SCOPE).is_none() {
        // Longer than the timeout of one caller.
        let _ = identity.token(SCOPE).await;
    }
    assert_eq!(number(&identity.peek(SCOPE).unwrap()), 2);
    settle().await;
    assert_eq!((under_way, server.requests()), (2, 2));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_repeats_an_expiring_token_is_not_flooded() {
    let (server, identity) = Server::start();
    let end = Instant::now() + 10 * MINUTE;
    server.will(|script| script.always = Some(Ok(Duration::from_secs(4))));
    identity.token(SCOPE).await.unwrap();
    advance(Duration::ZERO).await;
    sleep(end - Instant::now()).await;
    // A lifetime of four seconds, renewed after three: 200 requests in ten minutes; a loop would send millions.
    let requests = server.requests();
    assert!(requests <= 250, "{requests}");
}

#[tokio::test(start_paused = true)]
async fn a_token_that_has_expired_already_is_an_error_about_the_clock() {
    let (server, identity) = Server::start();
    server.will(|script| script.always = Some(Ok(Duration::ZERO)));
    let error = identity.token(SCOPE).await.unwrap_err();
    assert!(error.to_string().contains("check this machine's clock"), "{error}");
    assert!(server.requests() < 20);
}

#[tokio::test(start_paused = true)]
async fn retry_after_is_obeyed_up_to_a_limit() {
    for (asked_for, waited) in [(20, 20), (86_400, 120)] {
        let (server, identity) = Server::start();
        let throttled = unavailable(Some(Duration::from_secs(asked_for)));
        server.will(|script| script.answers.push_back(Err(throttled)));
        let _ = identity.token(SCOPE).await;
        sleep(3 * MINUTE).await;
        let times = server.times();
        assert_eq!((times[1] - times[0]).as_secs(), waited, "{asked_for}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_dropped_identity_is_not_renewed() {
    let (server, identity) = Server::start();
    let clone = identity.clone();
    identity.token(SCOPE).await.unwrap();
    drop(identity);
    sleep(HOUR).await;
    assert_eq!(server.requests(), 2, "a clone is still there");
    drop(clone);
    sleep(10 * HOUR).await;
    assert_eq!(server.requests(), 2);
    assert_eq!(Arc::strong_count(&server), 1, "its task is gone");
}

#[tokio::test(start_paused = true)]
async fn peek_starts_no_request() {
    let (server, identity) = Server::start();
    assert!(identity.peek(SCOPE).is_none());
    sleep(MINUTE).await;
    assert_eq!(server.requests(), 0);
    let token = identity.token(SCOPE).await.unwrap();
    assert_eq!(text(&identity.peek(SCOPE).unwrap()), text(&token));
}

#[tokio::test(start_paused = true)]
async fn a_scope_that_a_shell_could_interpret_is_rejected() {
    let (server, identity) = Server::start();
    for bad in [
        "",
        "https://storage.azure.com",
        "http://storage.azure.com/.default",
        "https://storage.azure.com/$(id)/.default",
        "https://storage.azure.com/ --x/.default",
        "; id/.default",
    ] {
        let result = identity.token(bad).await;
        assert!(matches!(result, Err(IdentityError::Scope(_))), "{bad}");
    }
    assert_eq!(server.requests(), 0);
}

#[test]
fn renewal_continues_on_another_runtime() {
    let (server, identity) = Server::start();
    let runtime = || {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_all().start_paused(true).build().unwrap()
    };
    runtime().block_on(identity.token(SCOPE)).unwrap();
    runtime().block_on(async {
        identity.token(SCOPE).await.unwrap();
        sleep(HOUR).await;
    });
    assert_eq!(server.requests(), 2, "renewed on the second");
}

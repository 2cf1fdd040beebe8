//! Hostile name servers, and servers on loopback that must get no connection.

use std::str::FromStr;
use std::sync::atomic::{AtomicUsize, Ordering};

use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
use tokio::net::TcpListener;
use uuid::Uuid;

use super::hostile_dns::{Answer, HostileDns};
use super::*;
use crate::fetch::{FetchError, Fetcher, Timeouts};
use xact_cache::Cache;
use xact_config::{Environment, Settings};
use xact_contracts::category::Category;
use xact_contracts::file_rules::FileType;
use xact_contracts::messages::Problem;
use xact_contracts::url_guard::UrlPolicy;

const HOST: &str = "claims.example";
const PUBLIC: IpAddr = IpAddr::V4(Ipv4Addr::new(8, 8, 8, 8));
/// Counts as a public address where a test must observe the connection.
const AS_IF_PUBLIC: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));
const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// The product's resolver, querying `dns`.
fn resolver(dns: &HostileDns, check: fn(IpAddr) -> Result<(), AddressRefusedError>) -> PublicResolver {
    let address = dns.address;
    let name_servers = move || {
        let mut connection = ConnectionConfig::udp();
        connection.port = address.port();
        let server = NameServerConfig::new(address.ip(), true, vec![connection]);
        // A search domain, as every pod has.
        let inside = vec![DnsName::from_ascii("inside.example.").unwrap()];
        let config = ResolverConfig::from_parts(None, inside, vec![server]);
        let provider = TokioRuntimeProvider::default();
        Ok(TokioResolver::builder_with_config(config, provider))
    };
    PublicResolver {
        dev: None,
        dns: Arc::new(Dns {
            resolver: OnceCell::new(),
            name_servers: Box::new(name_servers),
            timeout: Duration::from_millis(200),
        }),
        check,
    }
}

fn check_with_stand_in(address: IpAddr) -> Result<(), AddressRefusedError> {
    match address {
        AS_IF_PUBLIC => Ok(()),
        other => check_public(other),
    }
}

async fn resolve(resolver: &PublicResolver, host: &str) -> Result<Vec<IpAddr>, String> {
    let answers = resolver.resolve(Name::from_str(host).unwrap()).await;
    let answers = answers.map_err(|error| error.to_string())?;
    Ok(answers.map(|address| address.ip()).collect())
}

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn addresses(texts: &[&str]) -> Answer {
    Answer::Addresses(texts.iter().map(|text| address(text)).collect())
}

/// Accepts, counts and closes connections.
fn count_connections(listener: TcpListener) -> Arc<AtomicUsize> {
    let seen = Arc::<AtomicUsize>::default();
    let counter = Arc::clone(&seen);
    tokio::spawn(async move {
        while listener.accept().await.is_ok() {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    });
    seen
}

/// One attempt to fetch a file from the host by this resolver.
async fn fetch(resolver: &PublicResolver, port: u16) -> Problem {
    let folder = tempfile::tempdir().unwrap();
    let mut environment = Environment::default();
    // Any port, so that a listener of the test can be the server.
    environment.set("DEV_MODE", "true");
    environment.set("CACHE_DIR", folder.path().display().to_string());
    let settings = Settings::from_environment(&environment).unwrap();
    let fetcher = Fetcher::with(&settings, resolver, Timeouts::default()).unwrap();
    let policy = UrlPolicy::new([HOST]).in_dev_mode();
    let url = policy.check(&format!("https://{HOST}:{port}/a.pdf")).unwrap();
    let cache = Cache::create(folder.path()).unwrap();
    let slot = cache.slot(Uuid::new_v4()).await;
    match fetcher.fetch(&policy, url, Some(FileType::Pdf), &slot).await {
        Err(FetchError::Failed { problem, .. }) => problem,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn dns_rebinding_does_not_redirect_the_connection() {
    let good = Answer::Addresses(vec![AS_IF_PUBLIC]);
    let bad = Answer::Addresses(vec![LOOPBACK]);
    // The check gets a public address; a second lookup, which must not happen, a private one. Then the check gets the
    // private one.
    let dns = HostileDns::start(&[(HOST, &[good.clone(), bad, good])]).await;
    let resolver = resolver(&dns, check_with_stand_in);
    // A port that is free at both addresses: other tests listen at the loopback one.
    let (port, outside, inside) = loop {
        let outside = TcpListener::bind((AS_IF_PUBLIC, 0)).await.unwrap();
        let port = outside.local_addr().unwrap().port();
        if let Ok(inside) = TcpListener::bind((LOOPBACK, port)).await {
            break (port, count_connections(outside), count_connections(inside));
        }
    };

    let problem = fetch(&resolver, port).await;
    assert_eq!(problem.category, Category::Transient, "{}", problem.message());
    assert_eq!(dns.questions(HOST), 1, "the checked address is connected to");
    let problem = fetch(&resolver, port).await;
    assert_eq!(problem.category, Category::Permanent);
    let text = problem.message();
    assert!(text.contains("127.0.0.1, which is loopback"), "{text}");
    assert_eq!(dns.questions(HOST), 2);
    fetch(&resolver, port).await;
    let seen = |counter: &AtomicUsize| counter.load(Ordering::Relaxed);
    assert_eq!((seen(&outside), seen(&inside)), (2, 0));
}

#[tokio::test]
async fn one_private_address_among_public_ones_rejects_them_all() {
    for inside in ["10.0.0.7", "0.0.0.0", "169.254.169.254", "::1", "fd00::7"] {
        for answer in [
            addresses(&["8.8.8.8", inside]),
            addresses(&[inside, "8.8.8.8", "2606:4700::1111"]),
            Answer::AliasOf("real.example", vec![PUBLIC, address(inside)]),
        ] {
            let dns = HostileDns::start(&[(HOST, std::slice::from_ref(&answer))]).await;
            let error = resolve(&resolver(&dns, check_public), HOST).await.unwrap_err();
            let is_refused = error.contains("does not resolve to a public address");
            assert!(is_refused && error.contains(inside), "{answer:?}: {error}");
        }
    }
}

#[tokio::test]
async fn a_chain_of_cnames_is_followed_and_its_addresses_are_checked() {
    let private = addresses(&["10.0.0.7"]);
    let public = addresses(&["8.8.8.8", "2606:4700::1111"]);
    let dns = HostileDns::start(&[
        (HOST, &[Answer::Alias("one.example")]),
        ("one.example", &[Answer::Alias("two.example")]),
        ("two.example", &[private]),
        ("public.example", &[Answer::Alias("three.example")]),
        ("three.example", &[public]),
        ("loop.example", &[Answer::Alias("loop2.example")]),
        ("loop2.example", &[Answer::Alias("loop.example")]),
    ])
    .await;
    let resolver = resolver(&dns, check_public);
    let error = resolve(&resolver, HOST).await.unwrap_err();
    assert!(error.contains("10.0.0.7, which is private"), "{error}");
    let public = resolve(&resolver, "PUBLIC.example.").await;
    assert_eq!(public, Ok(vec![PUBLIC, address("2606:4700::1111")]));
    let error = resolve(&resolver, "loop.example").await.unwrap_err();
    assert!(error.contains("loop.example cannot be resolved"), "{error}");
}

#[tokio::test]
async fn a_failing_name_server_is_a_transient_failure_in_time() {
    for answer in [
        Answer::Missing,
        Answer::Failure,
        Answer::Silence,
        Answer::Garbage,
        Answer::Addresses(Vec::new()),
    ] {
        let dns = HostileDns::start(&[(HOST, std::slice::from_ref(&answer))]).await;
        let resolver = resolver(&dns, check_public);
        let fetched = tokio::time::timeout(Duration::from_secs(10), fetch(&resolver, 443));
        let problem = fetched.await.unwrap_or_else(|_| panic!("{answer:?} takes too long"));
        assert_eq!(problem.category, Category::Transient, "{answer:?}");
        let text = problem.message();
        assert!(text.contains("cannot be resolved"), "{answer:?}: {text}");
    }
}

#[tokio::test]
async fn search_domains_are_never_tried() {
    let inside = addresses(&["8.8.8.8"]);
    let dns = HostileDns::start(&[("claims.example.inside.example", &[inside])]).await;
    let error = resolve(&resolver(&dns, check_public), HOST).await.unwrap_err();
    assert!(error.contains("cannot be resolved"), "{error}");
    assert_eq!(dns.questions(HOST), 1);
    assert_eq!(dns.questions("claims.example.inside.example"), 0);
}

#[tokio::test]
async fn localhost_is_not_a_public_address() {
    let error = resolve(&PublicResolver::new(None), "localhost").await.unwrap_err();
    assert!(error.contains("does not resolve to a public address"), "{error}");
}

#[tokio::test]
async fn development_hosts_lead_to_the_sample_server() {
    let servers = [("example.com", "127.0.0.1:7"), ("example.org", "localhost:7")];
    let resolve_to = servers.map(|(host, server)| (host.to_owned(), server.to_owned()));
    let resolver = PublicResolver::new(Some(DevSettings {
        resolve: resolve_to.into(),
        ca_file: None,
    }));
    assert_eq!(resolve(&resolver, "EXAMPLE.com.").await, Ok(vec![LOOPBACK]));
    let by_name = resolve(&resolver, "example.org").await.unwrap();
    assert!(by_name.contains(&LOOPBACK), "{by_name:?}");
}

//! Resolves names, checks the addresses, and pins the connection to them. A second lookup or a changed DNS answer cannot
//! lead the connection into our own network.
//!
//! The system's name servers are queried directly instead of through `getaddrinfo`, which blocks a thread for as long as a
//! hostile name server delays its answer, and tries the machine's internal search domains.

#[cfg(test)]
mod hostile_dns;
#[cfg(test)]
mod tests;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::ProtoError;
use hickory_resolver::proto::rr::Name as DnsName;
use hickory_resolver::{ResolverBuilder, TokioResolver};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::sync::OnceCell;

use xact_config::DevSettings;
use xact_contracts::address_guard::{AddressRefusedError, check_public};

/// Timeout of one query to one name server. Two attempts fit into the connect timeout.
const QUERY_TIMEOUT: Duration = Duration::from_secs(4);
const ATTEMPTS: usize = 2;
/// Longest time that an answer is cached, even if its TTL is longer, so that a corrected record takes effect soon.
const MAX_TTL: Duration = Duration::from_secs(300);
const MAX_NEGATIVE_TTL: Duration = Duration::from_secs(10);

/// A name with an address that is not public.
#[derive(Debug, thiserror::Error)]
#[error("{host} does not resolve to a public address: {reason}")]
pub(crate) struct PrivateAddressError {
    host: String,
    reason: AddressRefusedError,
}

/// A name that cannot be resolved.
#[derive(Debug, thiserror::Error)]
#[error("{host} cannot be resolved: {reason}")]
pub(crate) struct ResolveError {
    host: String,
    reason: LookupError,
}

#[derive(Debug, thiserror::Error)]
enum LookupError {
    #[error("it is not a valid DNS name ({0})")]
    Name(#[from] ProtoError),
    #[error("the system's name servers cannot be read ({0}); check /etc/resolv.conf")]
    Unconfigured(NetError),
    #[error("{0}")]
    Failed(#[from] NetError),
    #[error("the answer is empty")]
    Empty,
}

/// The resolver of the download client. Cheap to clone.
#[derive(Clone)]
pub(crate) struct PublicResolver {
    dev: Option<Arc<DevSettings>>,
    dns: Arc<Dns>,
    check: fn(IpAddr) -> Result<(), AddressRefusedError>,
}

/// The DNS client, created at the first lookup: a machine without name servers can still use development hosts.
struct Dns {
    resolver: OnceCell<TokioResolver>,
    name_servers: NameServers,
    /// For one query to one name server.
    timeout: Duration,
}

type NameServers = Box<dyn Fn() -> Result<ResolverBuilder<TokioRuntimeProvider>, NetError> + Send + Sync>;

impl PublicResolver {
    pub(crate) fn new(dev: Option<DevSettings>) -> Self {
        Self {
            dev: dev.map(Arc::new),
            dns: Arc::new(Dns {
                resolver: OnceCell::new(),
                name_servers: Box::new(TokioResolver::builder_tokio),
                timeout: QUERY_TIMEOUT,
            }),
            check: check_public,
        }
    }

    async fn addresses(&self, host: &str) -> Result<Vec<SocketAddr>, Box<dyn std::error::Error + Send + Sync>> {
        if let Some(dev) = &self.dev {
            if let Some((_, server)) = dev.resolve.iter().find(|(name, _)| name == host) {
                return Ok(tokio::net::lookup_host(server).await?.collect());
            }
            if host == "localhost" {
                return Ok(vec![SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0)]);
            }
        }
        let unresolved = |reason| ResolveError {
            host: host.to_owned(),
            reason,
        };
        let answers = self.dns.look_up(host).await.map_err(unresolved)?;
        // A private address among public ones is an attack or a mistake: none of them is used.
        for answer in &answers {
            (self.check)(*answer).map_err(|reason| PrivateAddressError {
                host: host.to_owned(),
                reason,
            })?;
        }
        Ok(answers.into_iter().map(|address| SocketAddr::new(address, 0)).collect())
    }
}

impl Dns {
    /// Returns all addresses of a name, IPv4 first.
    async fn look_up(&self, host: &str) -> Result<Vec<IpAddr>, LookupError> {
        let resolver = self.resolver.get_or_try_init(|| async { self.resolver() }).await?;
        let mut name = DnsName::from_ascii(host)?;
        name.set_fqdn(true);
        let mut answers: Vec<IpAddr> = resolver.lookup_ip(name).await?.iter().collect();
        if answers.is_empty() {
            return Err(LookupError::Empty);
        }
        answers.sort_by_key(IpAddr::is_ipv6);
        Ok(answers)
    }

    fn resolver(&self) -> Result<TokioResolver, LookupError> {
        let mut builder = (self.name_servers)().map_err(LookupError::Unconfigured)?;
        let options = builder.options_mut();
        options.timeout = self.timeout;
        options.attempts = ATTEMPTS;
        options.positive_max_ttl = Some(MAX_TTL);
        options.negative_max_ttl = Some(MAX_NEGATIVE_TTL);
        builder.build().map_err(LookupError::Unconfigured)
    }
}

impl Resolve for PublicResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let resolver = self.clone();
        Box::pin(async move {
            let host = name.as_str().trim_end_matches('.').to_ascii_lowercase();
            let addresses = resolver.addresses(&host).await?;
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

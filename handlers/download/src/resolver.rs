//! Names are resolved by us and the connection is pinned to what was checked, so that no second look-up, and no DNS
//! answer that changes, can lead it to an address of our own network.
//!
//! The system's name servers are asked directly, not through `getaddrinfo`: that call holds a thread for as long as the
//! server of a hostile name likes, and tries the machine's search domains, which belong to the inside.

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
use xact_contracts::address_guard::{AddressRefusal, check_public};

/// One try of one name server; with two tries it fits into the time-out of the connection.
const TRY_TIMEOUT: Duration = Duration::from_secs(4);
const TRIES: usize = 2;
/// Longest that an answer is remembered, whatever its record says: a mended record is to be seen soon.
const REMEMBERED: Duration = Duration::from_secs(300);
const MISSING_REMEMBERED: Duration = Duration::from_secs(10);

/// A name of which an answer is no public address.
#[derive(Debug, thiserror::Error)]
#[error("{host} does not lead to a public address: {reason}")]
pub(crate) struct RefusedAddress {
    host: String,
    reason: AddressRefusal,
}

/// A name without an answer.
#[derive(Debug, thiserror::Error)]
#[error("{host} has no address: {reason}")]
pub(crate) struct NoAddress {
    host: String,
    reason: NoAnswer,
}

#[derive(Debug, thiserror::Error)]
enum NoAnswer {
    #[error("it is no name that DNS could hold ({0})")]
    Name(#[from] ProtoError),
    #[error("the system's name servers are not known ({0}); check /etc/resolv.conf")]
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
    check: fn(IpAddr) -> Result<(), AddressRefusal>,
}

/// The name servers, made known by the first look-up: a machine without any can still work with development hosts.
struct Dns {
    resolver: OnceCell<TokioResolver>,
    name_servers: NameServers,
    /// For one try of one name server.
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
                timeout: TRY_TIMEOUT,
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
        let no_address = |reason| NoAddress {
            host: host.to_owned(),
            reason,
        };
        let answers = self.dns.look_up(host).await.map_err(no_address)?;
        // One private answer among public ones is an attack or a mistake: none of them is used.
        for answer in &answers {
            (self.check)(*answer).map_err(|reason| RefusedAddress {
                host: host.to_owned(),
                reason,
            })?;
        }
        Ok(answers.into_iter().map(|address| SocketAddr::new(address, 0)).collect())
    }
}

impl Dns {
    /// All addresses of a name, IPv4 first.
    async fn look_up(&self, host: &str) -> Result<Vec<IpAddr>, NoAnswer> {
        let resolver = self.resolver.get_or_try_init(|| async { self.resolver() }).await?;
        let mut name = DnsName::from_ascii(host)?;
        name.set_fqdn(true);
        let mut answers: Vec<IpAddr> = resolver.lookup_ip(name).await?.iter().collect();
        if answers.is_empty() {
            return Err(NoAnswer::Empty);
        }
        answers.sort_by_key(IpAddr::is_ipv6);
        Ok(answers)
    }

    fn resolver(&self) -> Result<TokioResolver, NoAnswer> {
        let mut builder = (self.name_servers)().map_err(NoAnswer::Unconfigured)?;
        let options = builder.options_mut();
        options.timeout = self.timeout;
        options.attempts = TRIES;
        options.positive_max_ttl = Some(REMEMBERED);
        options.negative_max_ttl = Some(MISSING_REMEMBERED);
        builder.build().map_err(NoAnswer::Unconfigured)
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

//! Names are resolved by us and the connection is pinned to what was checked, so that no second look-up, and no DNS
//! answer that changes, can lead it to an address of our own network.

use contracts::address_guard::check_public;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use runtime::config::DevSettings;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

/// A name of which an answer is no public address.
#[derive(Debug, thiserror::Error)]
#[error("{host} does not lead to a public address: {reason}")]
pub(crate) struct RefusedAddress {
    host: String,
    reason: String,
}

/// A name without an answer.
#[derive(Debug, thiserror::Error)]
#[error("{host} has no address: {reason}")]
pub(crate) struct NoAddress {
    host: String,
    reason: String,
}

/// The resolver of the download client.
pub(crate) struct PublicResolver {
    dev: Option<Arc<DevSettings>>,
}

impl PublicResolver {
    pub(crate) fn new(dev: Option<DevSettings>) -> Self {
        Self { dev: dev.map(Arc::new) }
    }
}

impl Resolve for PublicResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let host = name.as_str().trim_end_matches('.').to_ascii_lowercase();
        let dev = self.dev.clone();
        Box::pin(async move {
            if let Some(dev) = dev {
                if let Some((_, address)) = dev.resolve.iter().find(|(name, _)| *name == host) {
                    return Ok(addresses(vec![*address]));
                }
                if host == "localhost" {
                    return Ok(addresses(vec![SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0)]));
                }
            }
            let answers: Vec<SocketAddr> = tokio::net::lookup_host((host.as_str(), 0))
                .await
                .map_err(|error| NoAddress {
                    host: host.clone(),
                    reason: error.to_string(),
                })?
                .collect();
            if answers.is_empty() {
                return Err(NoAddress {
                    host,
                    reason: "the answer is empty".to_owned(),
                }
                .into());
            }
            // One private answer among public ones is an attack or a mistake: none of them is used.
            for answer in &answers {
                check_public(answer.ip()).map_err(|refusal| RefusedAddress {
                    host: host.clone(),
                    reason: refusal.to_string(),
                })?;
            }
            Ok(addresses(answers))
        })
    }
}

fn addresses(list: Vec<SocketAddr>) -> Addrs {
    Box::new(list.into_iter())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::str::FromStr;

    async fn resolve(host: &str, dev: Option<DevSettings>) -> Result<Vec<SocketAddr>, String> {
        PublicResolver::new(dev)
            .resolve(Name::from_str(host).unwrap())
            .await
            .map(Iterator::collect)
            .map_err(|error| error.to_string())
    }

    #[tokio::test]
    async fn localhost_is_no_public_address() {
        let error = resolve("localhost", None).await.unwrap_err();
        assert!(error.contains("does not lead to a public address"), "{error}");
    }

    #[tokio::test]
    async fn development_hosts_lead_to_the_sample_server() {
        let address: SocketAddr = "127.0.0.1:7".parse().unwrap();
        let dev = DevSettings {
            resolve: vec![("example.com".to_owned(), address)],
            ca_file: None,
        };
        assert_eq!(resolve("EXAMPLE.com.", Some(dev)).await, Ok(vec![address]));
    }
}

//! What can go wrong on the way to a token, each with what to do about it.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// Why there is no token. No text of it holds a secret or a token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// Variables that cannot be used, one line each.
    #[error("the Azure identity cannot be used:{}", Lines(.0))]
    Settings(Vec<String>),
    /// Nothing is configured, and there is no Azure CLI.
    #[error(
        "no Azure identity is configured, and `az` is not on PATH. Set AZURE_TENANT_ID, AZURE_CLIENT_ID and \
         AZURE_CLIENT_SECRET (service principal); or give the container app a managed identity, which sets \
         IDENTITY_ENDPOINT and IDENTITY_HEADER; or use workload identity, which sets AZURE_FEDERATED_TOKEN_FILE; or, on \
         a workstation, install the Azure CLI and run `az login`"
    )]
    NoneConfigured,
    /// A scope that no token can be asked for.
    #[error("`{0}` is no scope: a scope is the address of a service and `/.default`")]
    Scope(String),

    /// AADSTS7000222.
    #[error(
        "the secret of client {client} has expired: create a new one (`az ad app credential reset --id {client} \
         --append`) and set AZURE_CLIENT_SECRET (AADSTS7000222)"
    )]
    SecretExpired {
        /// `AZURE_CLIENT_ID`.
        client: String,
    },
    /// AADSTS7000215.
    #[error(
        "AZURE_CLIENT_SECRET is not a secret of client {client}: set the value of the secret, not its id \
         (AADSTS7000215)"
    )]
    SecretWrong {
        /// `AZURE_CLIENT_ID`.
        client: String,
    },
    /// AADSTS700016, AADSTS7000229, AADSTS7000112.
    #[error(
        "tenant {tenant} has no usable service principal for client {client}: check AZURE_CLIENT_ID and \
         AZURE_TENANT_ID, and that the application is enabled there (AADSTS{code})"
    )]
    ClientUnknown {
        /// `AZURE_CLIENT_ID`.
        client: String,
        /// `AZURE_TENANT_ID`.
        tenant: String,
        /// Entra's number.
        code: u32,
    },
    /// AADSTS90002, AADSTS900023.
    #[error("there is no tenant {tenant}: check AZURE_TENANT_ID, and AZURE_AUTHORITY_HOST if it is set (AADSTS{code})")]
    TenantUnknown {
        /// `AZURE_TENANT_ID`.
        tenant: String,
        /// Entra's number.
        code: u32,
    },
    /// AADSTS500011, AADSTS650057, AADSTS70011.
    #[error(
        "the tenant knows no service for the scope {scope}: check the name of the namespace or storage endpoint \
         (AADSTS{code})"
    )]
    ScopeUnknown {
        /// What was asked for.
        scope: String,
        /// Entra's number.
        code: u32,
    },
    /// The file of `AZURE_FEDERATED_TOKEN_FILE` is not there or cannot be used.
    #[error(
        "AZURE_FEDERATED_TOKEN_FILE {}: {reason}. The pod's label `azure.workload.identity/use: \"true\"` and its \
         service account make Kubernetes write it",
        .path.display()
    )]
    FederatedTokenFile {
        /// Where it should be.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// AADSTS700024.
    #[error(
        "the token in {} is not valid now: Kubernetes has not renewed it, or this machine's clock is wrong \
         (AADSTS700024)",
        .path.display()
    )]
    FederatedTokenExpired {
        /// `AZURE_FEDERATED_TOKEN_FILE`.
        path: PathBuf,
    },
    /// AADSTS70021, AADSTS700211 to 700213.
    #[error(
        "client {client} trusts no token like the one in {}: its federated identity credential must name this \
         cluster's issuer and this service account (AADSTS{code})",
        .path.display()
    )]
    FederationMissing {
        /// `AZURE_CLIENT_ID`.
        client: String,
        /// `AZURE_FEDERATED_TOKEN_FILE`.
        path: PathBuf,
        /// Entra's number.
        code: u32,
    },
    /// 400 of the managed identity endpoint.
    #[error(
        "{}: {text}",
        match .client {
            Some(client) => format!(
                "the identity {client} is not assigned to this container app: assign it (`az containerapp identity \
                 assign --user-assigned`), or correct AZURE_CLIENT_ID"
            ),
            None => "this container app has no system-assigned identity: switch it on (`az containerapp identity assign \
                     --system-assigned`), or set AZURE_CLIENT_ID to the client id of its user-assigned identity"
                .to_owned(),
        }
    )]
    IdentityNotAssigned {
        /// `AZURE_CLIENT_ID`, for a user-assigned identity.
        client: Option<String>,
        /// What the endpoint said.
        text: String,
    },
    /// 401 or 403 of the managed identity endpoint.
    #[error(
        "the managed identity endpoint refuses IDENTITY_HEADER with {status}: the platform sets it, so restart the \
         replica, and set neither it nor IDENTITY_ENDPOINT by hand"
    )]
    HeaderRefused {
        /// The answer's status.
        status: u16,
    },
    /// `az` is not there any more.
    #[error("`az` is not on PATH: install the Azure CLI and run `az login`, or configure another identity")]
    CliMissing,
    /// Nobody is logged in, or for too long.
    #[error("the Azure CLI has no valid login: run `az login`{}", match .tenant {
        Some(tenant) => format!(" --tenant {tenant}"),
        None => String::new(),
    })]
    CliLoggedOut {
        /// `AZURE_TENANT_ID`, if it is set.
        tenant: Option<String>,
    },
    /// `az` failed in another way.
    #[error("`az account get-access-token` failed: {text}")]
    Cli {
        /// What it said, or what is wrong with its answer.
        text: String,
    },
    /// Another refusal.
    #[error("{who} was refused a token with {status}: {text}")]
    Refused {
        /// The identity.
        who: String,
        /// The answer's status.
        status: u16,
        /// What the server said.
        text: String,
    },
    /// No answer, or one that asks for patience: it is asked again.
    #[error("no token for {who}: {reason}")]
    Unavailable {
        /// The identity.
        who: String,
        /// What happened.
        reason: String,
        /// How long the server wants to be left alone.
        retry_after: Option<Duration>,
    },
    /// An answer that is no token answer.
    #[error("the answer for {who} is no token: {reason}")]
    BadAnswer {
        /// The identity.
        who: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A token that has no life left.
    #[error(
        "the token for {who} expired {} s ago when it came: check this machine's clock",
        .ago.as_secs()
    )]
    ExpiredOnArrival {
        /// The identity.
        who: String,
        /// How long ago by this machine's clock.
        ago: Duration,
    },
}

impl IdentityError {
    /// Whether it may pass by itself. The others want somebody to do something; they are asked again as well, only less
    /// often.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::Unavailable { .. } | Self::BadAnswer { .. } | Self::ExpiredOnArrival { .. }
        )
    }

    pub(crate) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Unavailable { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}

struct Lines<'a>(&'a [String]);

impl fmt::Display for Lines<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|line| write!(f, "\n  {line}"))
    }
}

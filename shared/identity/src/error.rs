//! Reasons why a token is not available, and what to do about them.

use std::fmt;
use std::time::Duration;

/// Why a token is not available. The text never holds a secret or a token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// Settings that are missing or cannot be used, one line each.
    #[error("the Azure identity cannot be used:{}", Lines(.0))]
    Settings(Vec<String>),
    /// No identity is configured, and the Azure CLI is not installed.
    #[error(
        "no Azure identity is configured, and `az` is not on PATH. Set AZURE_TENANT_ID, AZURE_CLIENT_ID and \
         AZURE_CLIENT_SECRET (service principal); or give the container app a managed identity, which sets \
         IDENTITY_ENDPOINT and IDENTITY_HEADER; or use workload identity, which sets AZURE_FEDERATED_TOKEN_FILE; or, on \
         a workstation, install the Azure CLI and run `az login`"
    )]
    NoneConfigured,
    /// A scope for which no token can be requested.
    #[error("`{0}` is not a valid scope: a scope is the address of a service and `/.default`")]
    Scope(String),
    /// The token was refused, or could not be requested. The text says what an operator has to change.
    #[error("{0}")]
    ActionRequired(String),
    /// There was no answer, or one that asks to retry.
    #[error("no token for {who}: {reason}")]
    Unavailable {
        /// The identity.
        who: String,
        /// What happened.
        reason: String,
        /// How long the server asks to wait.
        retry_after: Option<Duration>,
    },
    /// The answer is not a token, or the token has expired already.
    #[error("the answer for {who} is not a usable token: {reason}")]
    Unusable {
        /// The identity or the scope.
        who: String,
        /// What is wrong with the answer.
        reason: String,
    },
}

impl IdentityError {
    /// Returns whether the error may end without an operator's action. The others are retried too, less often.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable { .. } | Self::Unusable { .. })
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

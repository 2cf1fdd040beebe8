//! The Azure identity of the process, and its tokens.
//!
//! [`IdentitySettings`] come from the configuration. [`Identity::choose`] selects the identity, in the order service
//! principal, workload identity, managed identity, Azure CLI. [`Identity::token`] returns a token for a scope and renews it
//! in the background before it expires. If a service answers a valid token with 403, [`Access`] distinguishes a role
//! assignment that may not have propagated yet from a missing one.
//!
//! A caller that receives 401 discards the token, once:
//! ```no_run
//! # use xact_identity::{Forgotten, Identity, IdentityError, Token};
//! # async fn send(_: &Token) -> u16 { 200 }
//! # async fn example(identity: Identity) -> Result<u16, IdentityError> {
//! let scope = "https://storage.azure.com/.default";
//! let token = identity.token(scope).await?;
//! let status = send(&token).await;
//! if status == 401 && identity.forget(scope, &token) == Forgotten::Replaced {
//!     return Ok(send(&identity.token(scope).await?).await);
//! }
//! # Ok(status)
//! # }
//! ```
//!
//! `azure_identity` requests the tokens. This crate adds limits of time and size, errors that say what to do, and the
//! renewal. Errors, log lines and descriptions never hold a secret or a token.

mod access;
mod advice;
mod answer;
mod azure_cli;
mod credential;
mod error;
mod explain;
mod identity;
mod keeper;
mod kind;
mod scrub;
pub mod settings;
mod token;

pub use access::{Access, AccessState, Grant};
pub use error::IdentityError;
pub use identity::Identity;
pub use keeper::{Forgotten, ScopeStatus};
pub use settings::IdentitySettings;
pub use token::{Fetched, Principal, Token, TokenSource};

/// The scope of tokens for Azure Storage and OneLake:
/// <https://learn.microsoft.com/fabric/onelake/onelake-access-api#authorization>.
pub const STORAGE: &str = "https://storage.azure.com/.default";

#[cfg(test)]
mod tests;

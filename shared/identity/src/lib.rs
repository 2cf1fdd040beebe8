//! Who this process is to Azure, and the tokens that prove it.
//!
//! [`IdentitySettings`] are read from variables; [`Identity::choose`] picks the identity, in the order service principal,
//! workload identity, managed identity, Azure CLI; [`Identity::token`] gives a token for a scope, which is renewed in the
//! background before it expires. What may be done with a token is the business of whoever it is shown to: when that one
//! says 403, [`Access`] tells whether the role is still spreading or missing.
//!
//! A caller that is answered with 401 gives the token back, once:
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
//! The tokens come from `azure_identity`; around it are limits of time and size, errors that say what to do, and the
//! renewal. No error, log line or description holds a secret or a token.

mod access;
mod answer;
mod azure_cli;
mod credential;
mod error;
mod explain;
mod identity;
mod keeper;
mod scrub;
mod settings;
mod token;

pub use access::{Access, AccessState, Grant};
pub use error::IdentityError;
pub use identity::Identity;
pub use keeper::{Forgotten, ScopeStatus};
pub use settings::{IdentitySettings, VARIABLES};
pub use token::{Fetched, Principal, Token, TokenSource};

/// The scope of storage tokens, OneLake's among them:
/// <https://learn.microsoft.com/fabric/onelake/onelake-access-api#authorization>.
pub const STORAGE: &str = "https://storage.azure.com/.default";

#[cfg(test)]
mod tests;

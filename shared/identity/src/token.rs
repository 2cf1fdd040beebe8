//! Tokens, their lifetime and their principal.

use std::fmt;
use std::time::SystemTime;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use uuid::Uuid;

use crate::error::IdentityError;

/// A source of tokens. This crate's identities implement it; a test may have its own
/// ([`Identity::from_source`](crate::Identity::from_source)).
#[async_trait::async_trait]
pub trait TokenSource: Send + Sync {
    /// Requests a new token, never from a cache. There is one request at a time for a scope.
    async fn fetch(&self, scope: &str) -> Result<Fetched, IdentityError>;
}

/// A token as its source returned it.
#[derive(Debug, Clone)]
pub struct Fetched {
    /// The text after `Bearer`.
    pub secret: SecretString,
    /// When it expires.
    pub expires_at: SystemTime,
}

/// A bearer token for one scope. `Debug` does not show it.
#[derive(Debug, Clone)]
pub struct Token {
    /// The text after `Bearer`.
    pub secret: SecretString,
    /// When it expires.
    pub expires_at: SystemTime,
    /// The number of this token in its scope. It distinguishes tokens, as a source may return the same text again.
    pub(crate) number: u64,
}

impl Token {
    /// Returns the principal that the token names. It is *not verified*: use it in messages only, not for decisions. `None`
    /// if the token is not a JWT with an object id.
    #[must_use]
    pub fn principal(&self) -> Option<Principal> {
        let payload = self.secret.expose_secret().split('.').nth(1)?;
        let claims: Claims = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()?;
        // Only GUIDs are used; other contents do not belong into a message.
        Some(Principal {
            object_id: claims.oid?.parse().ok()?,
            application_id: claims.appid.or(claims.azp).and_then(|id| id.parse().ok()),
        })
    }
}

#[derive(Deserialize)]
struct Claims {
    oid: Option<String>,
    appid: Option<String>,
    azp: Option<String>,
}

/// The principal that a role is assigned to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Principal {
    /// The object id of the service principal or user, for `--assignee-object-id`.
    pub object_id: Uuid,
    /// The client id of the application.
    pub application_id: Option<Uuid>,
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "principal {}", self.object_id)?;
        match self.application_id {
            Some(id) => write!(f, " (client id {id})"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(secret: &str) -> Token {
        Token {
            secret: secret.into(),
            expires_at: SystemTime::now(),
            number: 1,
        }
    }

    fn jwt(claims: &str) -> Token {
        let claims = URL_SAFE_NO_PAD.encode(claims);
        token(&format!("eyJhbGciOiJub25lIn0.{claims}.signature"))
    }

    #[test]
    fn a_principal_is_read_from_the_claims() {
        let claims = r#"{"aud":"https://storage.azure.com","oid":"7d3c8f0e-3a3e-4c52-9a43-0d8f4b6f2a11","appid":"1b0f7a52-7d0e-4f0a-8f0a-2a4c1d9e8b77"}"#;
        let expected =
            "principal 7d3c8f0e-3a3e-4c52-9a43-0d8f4b6f2a11 (client id 1b0f7a52-7d0e-4f0a-8f0a-2a4c1d9e8b77)";
        assert_eq!(jwt(claims).principal().unwrap().to_string(), expected);
    }

    #[test]
    fn a_token_without_an_object_id_has_no_principal() {
        assert_eq!(jwt(r#"{"oid":"somebody@example.com"}"#).principal(), None);
        assert_eq!(jwt(r#"{"oid":12}"#).principal(), None);
        assert_eq!(jwt("{}").principal(), None);
        for opaque in ["", ".", "a.b", "opaque-token", "a.!!!.c"] {
            assert_eq!(token(opaque).principal(), None, "{opaque}");
        }
    }

    #[test]
    fn debug_shows_no_token() {
        assert!(!format!("{:?}", token("planted-token")).contains("planted"));
    }
}

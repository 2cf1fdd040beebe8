//! A token, when it expires, and whose it is.

use std::fmt;
use std::time::SystemTime;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use uuid::Uuid;

use crate::error::IdentityError;

/// Where tokens come from. The identities of this crate are one; a test or another cloud may bring its own
/// ([`Identity::from_source`](crate::Identity::from_source)).
#[async_trait::async_trait]
pub trait TokenSource: Send + Sync {
    /// Asks for a new token; never answers from a cache. One request at a time is made for a scope.
    async fn fetch(&self, scope: &str) -> Result<Fetched, IdentityError>;
}

/// A token as its source gave it.
#[derive(Debug, Clone)]
pub struct Fetched {
    /// What goes behind `Bearer`.
    pub secret: SecretString,
    /// From when on it is worth nothing.
    pub expires_at: SystemTime,
}

/// A bearer token for one scope. `Debug` does not show it.
#[derive(Debug, Clone)]
pub struct Token {
    /// What goes behind `Bearer`.
    pub secret: SecretString,
    /// From when on it is worth nothing.
    pub expires_at: SystemTime,
    /// Which of the scope's tokens this is. A source may give the same text again, and then this tells them apart.
    pub(crate) number: u64,
}

impl Token {
    /// Whose token it is, read from the token itself and *not verified*: for messages to people, never for decisions.
    /// `None` if the token is not a JWT that says so.
    #[must_use]
    pub fn principal(&self) -> Option<Principal> {
        let payload = self.secret.expose_secret().split('.').nth(1)?;
        let claims: Claims = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()?;
        // GUIDs alone are taken over: whatever else stands there has no place in a message.
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

/// Whom a role must be given to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Principal {
    /// The object id of the service principal or user, as `--assignee-object-id` wants it.
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
        token(&format!(
            "eyJhbGciOiJub25lIn0.{}.signature",
            URL_SAFE_NO_PAD.encode(claims)
        ))
    }

    #[test]
    fn a_principal_is_read_from_the_claims() {
        let principal = jwt(
            r#"{"aud":"https://storage.azure.com","oid":"7d3c8f0e-3a3e-4c52-9a43-0d8f4b6f2a11","appid":"1b0f7a52-7d0e-4f0a-8f0a-2a4c1d9e8b77"}"#,
        )
        .principal()
        .unwrap();
        assert_eq!(
            principal.to_string(),
            "principal 7d3c8f0e-3a3e-4c52-9a43-0d8f4b6f2a11 (client id 1b0f7a52-7d0e-4f0a-8f0a-2a4c1d9e8b77)"
        );
    }

    #[test]
    fn what_is_no_guid_or_no_jwt_names_nobody() {
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

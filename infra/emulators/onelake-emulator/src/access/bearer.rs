//! Bearer tokens: those that were given to the emulator, and optionally any JWT for storage. Only hashes are kept.

use std::collections::HashMap;
use std::fmt;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jiff::Timestamp;
use parking_lot::RwLock;
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// The audience of tokens for OneLake.
const AUDIENCE: &str = "https://storage.azure.com";

/// A token that the emulator accepts.
#[derive(Clone)]
pub struct AcceptedToken {
    /// The token as clients send it. `Debug` does not show it.
    pub token: String,
    /// The principal; a workspace can be closed to one.
    pub principal: String,
    /// When it expires; `None`: never.
    pub expires_at: Option<Timestamp>,
}

impl fmt::Debug for AcceptedToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AcceptedToken")
            .field("principal", &self.principal)
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

struct Owner {
    principal: String,
    expires_at: Option<Timestamp>,
}

/// All accepted tokens.
pub(crate) struct Tokens {
    known: RwLock<HashMap<[u8; 32], Owner>>,
    /// Whether any unexpired JWT for storage is accepted, regardless of its signature.
    any_jwt: bool,
}

/// The claims that matter here.
#[derive(Deserialize)]
struct Claims {
    aud: Option<String>,
    exp: Option<i64>,
    nbf: Option<i64>,
    oid: Option<String>,
    appid: Option<String>,
    sub: Option<String>,
}

impl Tokens {
    pub(crate) fn new(tokens: impl IntoIterator<Item = AcceptedToken>, any_jwt: bool) -> Self {
        let all = Self {
            known: RwLock::default(),
            any_jwt,
        };
        tokens.into_iter().for_each(|token| all.accept(token));
        all
    }

    /// Accepts a token from now on, or changes its principal and expiry.
    pub(crate) fn accept(&self, token: AcceptedToken) {
        let owner = Owner {
            principal: token.principal,
            expires_at: token.expires_at,
        };
        self.known.write().insert(Sha256::digest(token.token).into(), owner);
    }

    /// Refuses a token from now on, or all.
    pub(crate) fn forget(&self, token: Option<&str>) {
        let mut known = self.known.write();
        match token {
            Some(token) => {
                known.remove::<[u8; 32]>(&Sha256::digest(token).into());
            }
            None => known.clear(),
        }
    }

    /// Returns the tokens for the admin endpoint, with the beginning of their SHA-256.
    pub(crate) fn summaries(&self) -> Vec<Value> {
        let known = self.known.read();
        let mut sorted: Vec<_> = known.iter().collect();
        sorted.sort_by_key(|(hash, owner)| (&owner.principal, *hash));
        let summaries = sorted.into_iter().map(|(hash, owner)| {
            let sha256 = hex::encode(&hash[..8]);
            json!({"sha256": sha256, "principal": owner.principal, "expires_at": owner.expires_at})
        });
        summaries.collect()
    }

    /// Returns the principal of a token; `None` if it is unknown or expired.
    pub(crate) fn principal(&self, token: &str) -> Option<String> {
        let now = Timestamp::now();
        let hash: [u8; 32] = Sha256::digest(token).into();
        let known = self.known.read();
        if let Some(known) = known.get(&hash) {
            let is_alive = known.expires_at.is_none_or(|expires_at| now < expires_at);
            return is_alive.then(|| known.principal.clone());
        }
        if self.any_jwt {
            principal_of_jwt(token, now)
        } else {
            None
        }
    }
}

/// Returns the principal of an unexpired token for storage. The signature is not checked: the emulator has nothing to
/// protect.
fn principal_of_jwt(token: &str, now: Timestamp) -> Option<String> {
    let mut parts = token.split('.');
    let (_, payload, _) = (parts.next()?, parts.next()?, parts.next()?);
    let payload = BASE64_URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).ok()?;
    let claims: Claims = serde_json::from_slice(&payload).ok()?;
    let is_for_storage = claims.aud.is_some_and(|aud| aud.trim_end_matches('/') == AUDIENCE);
    let now = now.as_second();
    let is_alive = claims.exp.is_some_and(|exp| now < exp) && claims.nbf.is_none_or(|nbf| nbf <= now);
    if !is_for_storage || !is_alive || parts.next().is_some() {
        return None;
    }
    claims.oid.or(claims.appid).or(claims.sub)
}

/// Compares secrets in constant time.
pub(crate) fn secret_eq(a: &str, b: &str) -> bool {
    let (a, b) = (Sha256::digest(a), Sha256::digest(b));
    a.as_slice().ct_eq(b.as_slice()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(token: &str, expires_at: Option<Timestamp>) -> AcceptedToken {
        AcceptedToken {
            token: token.into(),
            principal: "upload".into(),
            expires_at,
        }
    }

    #[test]
    fn a_token_is_accepted_until_it_expires_or_is_removed() {
        let second = |s: i64| Timestamp::from_second(Timestamp::now().as_second() + s).unwrap();
        let (alive, expired) = (Some(second(60)), Some(second(-1)));
        let tokens = [token("a", None), token("b", alive), token("c", expired)];
        let tokens = Tokens::new(tokens, false);
        assert_eq!(tokens.principal("a").as_deref(), Some("upload"));
        assert_eq!(tokens.principal("b").as_deref(), Some("upload"));
        assert_eq!(tokens.principal("c"), None);
        assert_eq!(tokens.principal("d"), None);
        tokens.forget(Some("a"));
        assert_eq!(tokens.principal("a"), None);
        tokens.accept(token("c", None));
        assert!(tokens.principal("c").is_some());
        tokens.forget(None);
        assert_eq!(tokens.principal("c"), None);
    }

    #[test]
    fn tokens_are_never_shown() {
        let tokens = Tokens::new([token("very-secret", None)], false);
        assert!(!json!(tokens.summaries()).to_string().contains("very-secret"));
        assert!(!format!("{:?}", token("very-secret", None)).contains("very-secret"));
    }

    #[test]
    fn any_jwt_for_storage_is_accepted_only_with_the_option() {
        let now = Timestamp::now().as_second();
        let jwt = |claims: Value| format!("e30.{}.c2ln", BASE64_URL_SAFE_NO_PAD.encode(claims.to_string()));
        let good = jwt(json!({"aud": "https://storage.azure.com/", "exp": now + 60, "oid": "x"}));
        let open = Tokens::new([], true);
        assert_eq!(open.principal(&good).as_deref(), Some("x"));
        assert_eq!(Tokens::new([], false).principal(&good), None);
        for bad in [
            jwt(json!({"aud": AUDIENCE, "exp": now - 1, "oid": "x"})),
            jwt(json!({"aud": "https://vault.azure.net", "exp": now + 60, "oid": "x"})),
            jwt(json!({"aud": AUDIENCE, "oid": "x"})),
            jwt(json!({"aud": AUDIENCE, "exp": now + 60, "nbf": now + 30, "oid": "x"})),
            "a.b.c".into(),
            "opaque".into(),
            format!("{good}.more"),
        ] {
            assert_eq!(open.principal(&bad), None, "{bad}");
        }
    }
}

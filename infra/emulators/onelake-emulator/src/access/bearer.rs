//! Bearer tokens: those that were told to the emulator, and, if it is asked to, any that looks like Entra's.
//!
//! Only hashes of tokens are kept.

use std::collections::HashMap;
use std::fmt;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jiff::Timestamp;
use parking_lot::RwLock;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// Whom a token for OneLake is made out to.
const AUDIENCE: &str = "https://storage.azure.com";

/// A token that the emulator takes.
#[derive(Clone)]
pub struct AcceptedToken {
    /// As clients send it. `Debug` does not show it.
    pub token: String,
    /// Who it speaks for; 403s can be given to one principal alone.
    pub principal: String,
    /// From when on it is refused; `None`: never.
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

struct Known {
    principal: String,
    expires_at: Option<Timestamp>,
}

/// All tokens that are taken.
pub(crate) struct Tokens {
    known: RwLock<HashMap<[u8; 32], Known>>,
    /// Whether an unexpired JWT for storage is taken, whoever signed it.
    any_jwt: bool,
}

/// A token as the admin endpoint shows it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub(crate) struct TokenSummary {
    /// The beginning of the token's SHA-256.
    pub(crate) sha256: String,
    pub(crate) principal: String,
    pub(crate) expires_at: Option<Timestamp>,
}

/// What a JWT says that matters here.
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

    /// Takes a token from now on; one that is known gets the new principal and expiry.
    pub(crate) fn accept(
        &self,
        AcceptedToken {
            token,
            principal,
            expires_at,
        }: AcceptedToken,
    ) {
        let mut known = self.known.write();
        known.insert(Sha256::digest(token).into(), Known { principal, expires_at });
    }

    /// Refuses a token from now on, or all of them.
    pub(crate) fn forget(&self, token: Option<&str>) {
        let mut known = self.known.write();
        match token {
            Some(token) => {
                known.remove::<[u8; 32]>(&Sha256::digest(token).into());
            }
            None => known.clear(),
        }
    }

    pub(crate) fn summaries(&self) -> Vec<TokenSummary> {
        let known = self.known.read();
        let mut shown: Vec<TokenSummary> = known
            .iter()
            .map(|(hash, known)| TokenSummary {
                sha256: hex::encode(&hash[..8]),
                principal: known.principal.clone(),
                expires_at: known.expires_at,
            })
            .collect();
        shown.sort_by(|a, b| (&a.principal, &a.sha256).cmp(&(&b.principal, &b.sha256)));
        shown
    }

    /// Who a token speaks for; `None` if it is unknown or expired.
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

/// The principal of an unexpired token for storage. Nobody's signature is checked: the emulator guards nothing.
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

/// Compares secrets in a time that tells nothing about them.
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
    fn a_token_counts_until_it_expires_or_is_taken_back() {
        let second = |s: i64| Timestamp::from_second(Timestamp::now().as_second() + s).unwrap();
        let tokens = Tokens::new(
            [
                token("a", None),
                token("b", Some(second(60))),
                token("c", Some(second(-1))),
            ],
            false,
        );
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
    fn tokens_are_shown_nowhere() {
        let tokens = Tokens::new([token("very-secret", None)], false);
        assert!(
            !serde_json::to_string(&tokens.summaries())
                .unwrap()
                .contains("very-secret")
        );
        assert!(!format!("{:?}", token("very-secret", None)).contains("very-secret"));
    }

    #[test]
    fn any_jwt_for_storage_is_taken_only_where_that_is_asked_for() {
        let now = Timestamp::now().as_second();
        let jwt = |claims: String| format!("e30.{}.c2ln", BASE64_URL_SAFE_NO_PAD.encode(claims));
        let good = jwt(format!(
            r#"{{"aud":"https://storage.azure.com/","exp":{},"oid":"x"}}"#,
            now + 60
        ));
        let open = Tokens::new([], true);
        assert_eq!(open.principal(&good).as_deref(), Some("x"));
        assert_eq!(Tokens::new([], false).principal(&good), None);
        for bad in [
            jwt(format!(
                r#"{{"aud":"https://storage.azure.com","exp":{},"oid":"x"}}"#,
                now - 1
            )),
            jwt(format!(
                r#"{{"aud":"https://vault.azure.net","exp":{},"oid":"x"}}"#,
                now + 60
            )),
            jwt(r#"{"aud":"https://storage.azure.com","oid":"x"}"#.into()),
            jwt(format!(
                r#"{{"aud":"https://storage.azure.com","exp":{},"nbf":{},"oid":"x"}}"#,
                now + 60,
                now + 30
            )),
            "a.b.c".into(),
            "opaque".into(),
            format!("{good}.more"),
        ] {
            assert_eq!(open.principal(&bad), None, "{bad}");
        }
    }
}

//! Signed tokens in the form of Entra (RS256), with a test key that a broker can be configured to trust.

use std::{
    path::Path,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use aws_lc_rs::{
    rand::SystemRandom,
    rsa::{KeyPair, KeySize},
    signature::{KeyPair as _, RSA_PKCS1_SHA256},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use crate::{Result, failed, workdir::write};

/// Id of the key in tokens and in the key set.
const KEY_ID: &str = "test";

/// An issuer of tokens.
#[derive(Debug)]
pub struct Issuer {
    key: KeyPair,
}

impl Issuer {
    /// Issuer name in its tokens.
    pub const NAME: &str = "https://sts.windows.net/7d3c8f0e-3a3e-4c52-9a43-0d8f4b6f2a11/";

    /// Creates an issuer with a new key.
    pub fn new() -> Result<Issuer> {
        let key = KeyPair::generate(KeySize::Rsa2048);
        Ok(Issuer {
            key: key.map_err(|_| failed("cannot create an RSA key", ""))?,
        })
    }

    /// Returns a token of `subject` for `audience` with this lifetime.
    pub fn token(&self, audience: &str, subject: &str, lifetime: Lifetime) -> Result<String> {
        let now = seconds(SystemTime::now());
        let (begins, ends) = match lifetime {
            Lifetime::Left(left) => (now, now + left.as_secs()),
            Lifetime::OverSince(since) => (now - since.as_secs() - 3600, now - since.as_secs()),
        };
        let claims = json!({
            "aud": audience, "iss": Issuer::NAME, "iat": begins, "nbf": begins, "exp": ends,
            "sub": subject, "oid": subject, "appid": subject,
        });
        let header = json!({"typ": "JWT", "alg": "RS256", "kid": KEY_ID});
        let encoded = |part: &Value| URL_SAFE_NO_PAD.encode(part.to_string());
        let text = format!("{}.{}", encoded(&header), encoded(&claims));
        let mut signature = vec![0; self.key.public_modulus_len()];
        self.key
            .sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text.as_bytes(), &mut signature)
            .map_err(|_| failed("cannot sign a token", ""))?;
        Ok(format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }

    /// Writes the public key as a JSON Web Key Set.
    pub(crate) fn write_key_set(&self, file: &Path) -> Result<()> {
        let (modulus, exponent) =
            public_numbers(self.key.public_key().as_ref()).ok_or_else(|| failed("cannot read the public key", ""))?;
        let key = json!({
            "kty": "RSA", "use": "sig", "alg": "RS256", "kid": KEY_ID,
            "n": URL_SAFE_NO_PAD.encode(modulus), "e": URL_SAFE_NO_PAD.encode(exponent),
        });
        write(file, json!({"keys": [key]}).to_string())
    }
}

/// Validity of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lifetime {
    /// The token expires after this time.
    Left(Duration),
    /// The token expired this long ago.
    OverSince(Duration),
}

pub(crate) fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// Returns modulus and exponent of an RSA public key: `SEQUENCE { INTEGER, INTEGER }`
/// (<https://www.rfc-editor.org/rfc/rfc8017#appendix-A.1.1>).
fn public_numbers(der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (sequence, _) = element(der, 0x30)?;
    let (modulus, rest) = element(sequence, 0x02)?;
    let (exponent, _) = element(rest, 0x02)?;
    // A number whose first bit is set is preceded by a zero byte.
    Some((modulus.strip_prefix(&[0]).unwrap_or(modulus), exponent))
}

/// Returns the content of the first element, which must have this tag, and the rest.
fn element(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&[found, length], rest) = der.split_first_chunk()?;
    // Short form: the length itself. Long form: the number of length bytes.
    let (length, rest) = match usize::from(length) {
        short @ ..0x80 => (short, rest),
        long => {
            let (bytes, rest) = rest.split_at_checked(long - 0x80)?;
            let length = bytes.iter().fold(0, |length, &byte| length << 8 | usize::from(byte));
            (length, rest)
        }
    };
    (found == tag).then(|| rest.split_at_checked(length)).flatten()
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};

    use super::*;

    #[test]
    fn a_token_is_signed_by_the_key_that_is_published() -> Result<()> {
        let issuer = Issuer::new()?;
        let token = issuer.token("https://ns", "me", Lifetime::Left(Duration::from_secs(20)))?;
        let (text, signature) = token.rsplit_once('.').unwrap();
        let der = issuer.key.public_key();
        let (n, e) = public_numbers(der.as_ref()).unwrap();
        assert_eq!((n.len(), e), (256, &[1, 0, 1][..]));
        let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
        let key = RsaPublicKeyComponents { n, e };
        assert!(
            key.verify(&RSA_PKCS1_2048_8192_SHA256, text.as_bytes(), &signature)
                .is_ok()
        );
        let claims = URL_SAFE_NO_PAD.decode(text.split_once('.').unwrap().1).unwrap();
        let claims: Value = serde_json::from_slice(&claims).unwrap();
        assert_eq!(claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap(), 20);
        assert_eq!(claims["aud"], "https://ns");
        Ok(())
    }
}

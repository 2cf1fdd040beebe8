//! The settings that an identity is chosen by, and the checks of single values. The configuration reads the variables.

use std::ffi::OsString;
use std::path::PathBuf;

use secrecy::SecretString;
use url::Url;
use uuid::Uuid;

/// Entra of the public cloud.
const PUBLIC_AUTHORITY: &str = "https://login.microsoftonline.com";

/// The settings that [`Identity::choose`](crate::Identity::choose) makes an identity of.
#[derive(Debug, Clone, Default)]
pub struct IdentitySettings {
    /// `AZURE_TENANT_ID`: a GUID or a domain.
    pub tenant: Option<String>,
    /// `AZURE_CLIENT_ID`: of the service principal, the workload identity or the user-assigned managed identity.
    pub client: Option<Uuid>,
    /// `AZURE_CLIENT_SECRET`.
    pub secret: Option<SecretString>,
    /// `AZURE_FEDERATED_TOKEN_FILE`.
    pub federated_token_file: Option<PathBuf>,
    /// `AZURE_AUTHORITY_HOST`; `None`: Entra of the public cloud.
    pub authority: Option<Url>,
    /// `IDENTITY_ENDPOINT`.
    pub endpoint: Option<Url>,
    /// `IDENTITY_HEADER`.
    pub header: Option<SecretString>,
    /// `PATH`, where `az` is searched.
    pub path: OsString,
    /// A certificate authority (PEM) that the authority host is checked with, in addition to the system's: for tests. No
    /// variable sets it.
    pub ca_pem: Option<Vec<u8>>,
}

impl IdentitySettings {
    /// Returns the URL of Entra.
    pub(crate) fn authority(&self) -> Url {
        let public = || Url::parse(PUBLIC_AUTHORITY).unwrap_or_else(|_| unreachable!("a constant"));
        self.authority.clone().unwrap_or_else(public)
    }
}

/// Parses `AZURE_TENANT_ID`. It becomes part of the path of a URL and an argument of `az`.
///
/// # Errors
/// What it must be.
pub fn tenant(text: &str) -> Result<String, String> {
    let is_label = |label: &str| {
        !label.is_empty() && !label.starts_with('-') && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
    };
    let is_domain = text.contains('.') && text.len() <= 253 && text.split('.').all(is_label);
    if is_domain || hyphenated(text).is_some() {
        return Ok(text.to_owned());
    }
    Err("must be the tenant's id (a GUID) or its domain (contoso.onmicrosoft.com)".to_owned())
}

/// Parses `AZURE_CLIENT_ID`.
///
/// # Errors
/// What it must be.
pub fn client_id(text: &str) -> Result<Uuid, String> {
    hyphenated(text).ok_or_else(|| "must be the application's (client) id, a GUID, not its name".to_owned())
}

/// Parses `AZURE_CLIENT_SECRET` or `IDENTITY_HEADER`. They are sent in a form and in a header.
///
/// # Errors
/// What is wrong with it.
pub fn secret(text: &str) -> Result<SecretString, String> {
    if text.chars().all(|c| c.is_ascii_graphic()) {
        return Ok(SecretString::from(text));
    }
    Err("holds blanks, line breaks or other characters that it cannot have: copy it again".to_owned())
}

/// Parses `AZURE_AUTHORITY_HOST`.
///
/// # Errors
/// What it must be.
pub fn authority(text: &str) -> Result<Url, String> {
    bare_url(text, &["https"])
        .filter(|url| url.path() == "/")
        .ok_or_else(|| format!("must be https:// and a host, as in {PUBLIC_AUTHORITY}"))
}

/// Parses `IDENTITY_ENDPOINT`.
///
/// # Errors
/// What it must be.
pub fn endpoint(text: &str) -> Result<Url, String> {
    bare_url(text, &["http", "https"])
        .ok_or_else(|| "must be a URL: the platform sets it; do not set it by hand".to_owned())
}

/// Parses a GUID in its usual spelling only: Entra does not accept braces or `urn:uuid:`.
fn hyphenated(text: &str) -> Option<Uuid> {
    let id = Uuid::parse_str(text).ok()?;
    text.eq_ignore_ascii_case(&id.hyphenated().to_string()).then_some(id)
}

/// Parses a URL with neither user, password, query nor fragment.
fn bare_url(text: &str, schemes: &[&str]) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    let is_bare = url.has_host()
        && url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    (is_bare && schemes.contains(&url.scheme())).then_some(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn valid_values_are_accepted() {
        let guid = "1b0f7a52-7d0e-4f0a-8f0a-2a4c1d9e8b77";
        assert!(tenant("contoso.onmicrosoft.com").is_ok() && tenant(guid).is_ok());
        assert_eq!(client_id(guid).unwrap().to_string(), guid);
        assert!(secret("abc~8Q").is_ok());
        assert!(authority("https://login.microsoftonline.us/").is_ok());
        assert!(endpoint("http://localhost:42356/msi/token").is_ok());
        let settings = IdentitySettings::default();
        assert_eq!(settings.authority().as_str(), "https://login.microsoftonline.com/");
    }

    #[test]
    fn invalid_values_are_rejected() {
        assert!(tenant("../common").is_err());
        assert!(client_id("my-app").is_err() && client_id("1b0f7a527d0e4f0a8f0a2a4c1d9e8b77").is_err());
        assert!(secret("two words").is_err() && secret("a\nb").is_err());
        assert!(endpoint("localhost:42356").is_err());
        // An authority is only a host.
        for bad in [
            "http://login",
            "https://",
            "https://user@login.microsoftonline.com",
            "https://login.microsoftonline.com/tenant",
            "https://login.microsoftonline.com?x",
            "login.microsoftonline.com",
        ] {
            assert!(authority(bad).is_err(), "{bad}");
        }
    }
}

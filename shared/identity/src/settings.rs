//! The variables that an identity is chosen by.

use std::ffi::OsString;
use std::path::PathBuf;

use secrecy::{ExposeSecret, SecretString};
use url::Url;
use uuid::Uuid;

use crate::error::IdentityError;

/// Every variable that [`IdentitySettings::read`] asks for.
pub const VARIABLES: [&str; 8] = [
    "AZURE_TENANT_ID",
    "AZURE_CLIENT_ID",
    "AZURE_CLIENT_SECRET",
    "AZURE_FEDERATED_TOKEN_FILE",
    "AZURE_AUTHORITY_HOST",
    "IDENTITY_ENDPOINT",
    "IDENTITY_HEADER",
    "PATH",
];

/// Entra of the public cloud.
const PUBLIC_AUTHORITY: &str = "https://login.microsoftonline.com";

/// What is configured, checked one by one; [`Identity::choose`](crate::Identity::choose) makes an identity of it.
#[derive(Debug, Clone)]
pub struct IdentitySettings {
    /// `AZURE_TENANT_ID`: a GUID or a domain.
    pub tenant: Option<String>,
    /// `AZURE_CLIENT_ID`: of the service principal, the workload identity or the user-assigned managed identity.
    pub client: Option<Uuid>,
    /// `AZURE_CLIENT_SECRET`.
    pub secret: Option<SecretString>,
    /// `AZURE_FEDERATED_TOKEN_FILE`.
    pub federated_token_file: Option<PathBuf>,
    /// `AZURE_AUTHORITY_HOST`: Entra, of the public cloud unless set.
    pub authority: Url,
    /// `IDENTITY_ENDPOINT`.
    pub endpoint: Option<Url>,
    /// `IDENTITY_HEADER`.
    pub header: Option<SecretString>,
    /// `PATH`, where `az` is looked for.
    pub path: OsString,
    /// A certificate authority (PEM) that the authority host may be vouched for by, besides the system's: for private
    /// clouds and tests. No variable sets it.
    pub ca_pem: Option<Vec<u8>>,
}

impl IdentitySettings {
    /// Reads the [`VARIABLES`]; a blank one counts as not set.
    ///
    /// # Errors
    /// [`IdentityError::Settings`] with everything that is wrong, without the values of secrets.
    pub fn read(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, IdentityError> {
        let mut reader = Reader {
            lookup,
            errors: Vec::new(),
        };
        let settings = Self {
            tenant: reader.tenant(),
            client: reader.client(),
            secret: reader.secret("AZURE_CLIENT_SECRET"),
            federated_token_file: reader.text("AZURE_FEDERATED_TOKEN_FILE").map(PathBuf::from),
            authority: reader.authority(),
            endpoint: reader.endpoint(),
            header: reader.secret("IDENTITY_HEADER"),
            path: reader.text("PATH").map(OsString::from).unwrap_or_default(),
            ca_pem: None,
        };
        if reader.errors.is_empty() {
            Ok(settings)
        } else {
            Err(IdentityError::Settings(reader.errors))
        }
    }
}

struct Reader<F> {
    lookup: F,
    errors: Vec<String>,
}

impl<F: Fn(&str) -> Option<String>> Reader<F> {
    fn text(&self, name: &str) -> Option<String> {
        (self.lookup)(name)
            .map(|value| value.trim().to_owned())
            .filter(|value| !value.is_empty())
    }

    fn tenant(&mut self) -> Option<String> {
        let tenant = self.text("AZURE_TENANT_ID")?;
        // It becomes a part of a URL's path and an argument of `az`.
        let is_domain = |text: &str| {
            text.contains('.')
                && text.len() <= 253
                && text.split('.').all(|label| {
                    !label.is_empty()
                        && !label.starts_with('-')
                        && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
                })
        };
        if Uuid::parse_str(&tenant).is_ok_and(|id| is_hyphenated(&tenant, id)) || is_domain(&tenant) {
            return Some(tenant);
        }
        self.errors.push(format!(
            "AZURE_TENANT_ID is `{}`: set the tenant's id (a GUID) or its domain (contoso.onmicrosoft.com)",
            shown(&tenant)
        ));
        None
    }

    fn client(&mut self) -> Option<Uuid> {
        let client = self.text("AZURE_CLIENT_ID")?;
        match Uuid::parse_str(&client) {
            Ok(id) if is_hyphenated(&client, id) => Some(id),
            _ => {
                self.errors.push(format!(
                    "AZURE_CLIENT_ID is `{}`: set the application's (client) id, a GUID, not its name",
                    shown(&client)
                ));
                None
            }
        }
    }

    fn secret(&mut self, name: &str) -> Option<SecretString> {
        let secret = SecretString::from(self.text(name)?);
        // Both are sent in a header or a form, and neither kind has blanks: they come from copying.
        if secret.expose_secret().chars().all(|c| c.is_ascii_graphic()) {
            return Some(secret);
        }
        self.errors.push(format!(
            "{name} holds blanks, line breaks or other characters that it cannot have: copy it again (its value is not \
             shown here)"
        ));
        None
    }

    fn authority(&mut self) -> Url {
        let text = self.text("AZURE_AUTHORITY_HOST");
        let named = text.as_deref().unwrap_or(PUBLIC_AUTHORITY);
        match Url::parse(named) {
            Ok(url) if url.scheme() == "https" && is_bare(&url) && url.path() == "/" => url,
            _ => {
                self.errors.push(format!(
                    "AZURE_AUTHORITY_HOST is `{}`: set https:// and a host, as in {PUBLIC_AUTHORITY}",
                    shown(named)
                ));
                // Never asked: there are errors.
                Url::parse(PUBLIC_AUTHORITY).unwrap_or_else(|_| unreachable!("a constant"))
            }
        }
    }

    fn endpoint(&mut self) -> Option<Url> {
        let endpoint = self.text("IDENTITY_ENDPOINT")?;
        match Url::parse(&endpoint) {
            Ok(url) if matches!(url.scheme(), "http" | "https") && is_bare(&url) => Some(url),
            _ => {
                self.errors.push(format!(
                    "IDENTITY_ENDPOINT is `{}`: the platform sets it, to a URL; do not set it by hand",
                    shown(&endpoint)
                ));
                None
            }
        }
    }
}

/// Only the usual spelling: Entra takes no braces and no `urn:uuid:`.
fn is_hyphenated(text: &str, id: Uuid) -> bool {
    text.eq_ignore_ascii_case(&id.hyphenated().to_string())
}

fn is_bare(url: &Url) -> bool {
    url.host().is_some()
        && url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none()
}

/// A bad value for a message: somebody may have put a secret into the wrong variable, so only its beginning, unless it is
/// as short as a name.
fn shown(value: &str) -> String {
    let visible = |count| value.chars().take(count).filter(|c| !c.is_control()).collect();
    if value.chars().count() <= 12 {
        return visible(12);
    }
    let beginning: String = visible(4);
    format!("{beginning}…")
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLIENT: &str = "1b0f7a52-7d0e-4f0a-8f0a-2a4c1d9e8b77";

    fn read(variables: &[(&str, &str)]) -> Result<IdentitySettings, IdentityError> {
        IdentitySettings::read(|name| {
            assert!(VARIABLES.contains(&name), "{name} is not in the list");
            variables
                .iter()
                .find(|(variable, _)| *variable == name)
                .map(|(_, value)| (*value).to_owned())
        })
    }

    fn errors(variables: &[(&str, &str)]) -> Vec<String> {
        match read(variables).unwrap_err() {
            IdentityError::Settings(lines) => lines,
            other => panic!("{other}"),
        }
    }

    #[test]
    fn every_variable_is_read_and_blank_ones_are_not_set() {
        let settings = read(&[
            ("AZURE_TENANT_ID", "contoso.onmicrosoft.com"),
            ("AZURE_CLIENT_ID", CLIENT),
            ("AZURE_CLIENT_SECRET", " abc~8Q\n"),
            (
                "AZURE_FEDERATED_TOKEN_FILE",
                "/var/run/secrets/azure/tokens/azure-identity-token",
            ),
            ("AZURE_AUTHORITY_HOST", "https://login.microsoftonline.us/"),
            ("IDENTITY_ENDPOINT", "http://localhost:42356/msi/token"),
            ("IDENTITY_HEADER", "853b9a84-5bfa-4b22-a3f3-0b9a43d9ad8a"),
            ("PATH", "/usr/bin"),
        ])
        .unwrap();
        assert_eq!(settings.tenant.as_deref(), Some("contoso.onmicrosoft.com"));
        assert_eq!(settings.client.unwrap().to_string(), CLIENT);
        assert_eq!(settings.secret.unwrap().expose_secret(), "abc~8Q");
        assert_eq!(settings.authority.as_str(), "https://login.microsoftonline.us/");
        assert_eq!(settings.endpoint.unwrap().port(), Some(42356));

        let nothing = read(&[("AZURE_CLIENT_SECRET", " "), ("AZURE_CLIENT_ID", "")]).unwrap();
        assert!(nothing.secret.is_none() && nothing.client.is_none());
        assert_eq!(nothing.authority.as_str(), "https://login.microsoftonline.com/");
    }

    #[test]
    fn all_bad_values_are_named_at_once() {
        let lines = errors(&[
            ("AZURE_TENANT_ID", "../common"),
            ("AZURE_CLIENT_ID", "my-app"),
            ("AZURE_CLIENT_SECRET", "two words"),
            ("AZURE_AUTHORITY_HOST", "http://login"),
            ("IDENTITY_ENDPOINT", "localhost:42356"),
            ("IDENTITY_HEADER", "a\nb"),
        ]);
        let names: Vec<_> = lines.iter().map(|line| line.split(' ').next().unwrap()).collect();
        assert_eq!(
            names,
            [
                "AZURE_TENANT_ID",
                "AZURE_CLIENT_ID",
                "AZURE_CLIENT_SECRET",
                "AZURE_AUTHORITY_HOST",
                "IDENTITY_ENDPOINT",
                "IDENTITY_HEADER"
            ]
        );
    }

    #[test]
    fn a_secret_in_the_wrong_variable_is_not_printed() {
        let planted = "xyz8Q~planted-secret-of-the-application";
        let lines = errors(&[
            ("AZURE_TENANT_ID", planted),
            ("AZURE_CLIENT_ID", planted),
            ("AZURE_CLIENT_SECRET", "planted secret"),
            ("AZURE_AUTHORITY_HOST", planted),
            ("IDENTITY_ENDPOINT", planted),
        ]);
        assert_eq!(lines.len(), 5);
        assert!(!lines.join("\n").contains("planted"), "{lines:?}");
    }

    #[test]
    fn an_authority_is_a_host_and_no_more() {
        for bad in [
            "https://",
            "https://user@login.microsoftonline.com",
            "https://login.microsoftonline.com/tenant",
            "https://login.microsoftonline.com?x",
            "login.microsoftonline.com",
        ] {
            assert!(
                errors(&[("AZURE_AUTHORITY_HOST", bad)])[0].starts_with("AZURE_AUTHORITY_HOST"),
                "{bad}"
            );
        }
    }
}

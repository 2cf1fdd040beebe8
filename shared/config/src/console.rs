//! Who may use the console.

use std::fmt;

use secrecy::SecretString;
use url::Url;

/// Fewest characters of a token: too many for guessing.
const MIN_TOKEN_CHARS: usize = 32;

/// Most handlers that the console asks.
const MAX_HANDLERS: usize = 64;

/// The settings of the console.
#[derive(Debug, Clone)]
pub struct ConsoleSettings {
    /// `CONSOLE_SIGN_IN`.
    pub sign_in: SignIn,
    /// `CONSOLE_TOKENS`.
    pub tokens: Vec<ConsoleToken>,
    /// `CONSOLE_URL`; `None`: the address that the console listens on.
    pub url: Option<Url>,
    /// `CONSOLE_HANDLERS`, each `host:port`; empty: the one with this process's `METRICS_PORT`.
    pub handlers: Vec<String>,
}

/// How the console knows who makes a request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SignIn {
    /// Everybody who reaches the address may operate; for loopback addresses only.
    #[default]
    None,
    /// By a token of `CONSOLE_TOKENS`.
    Token,
    /// By the headers that the sign-in of Azure Container Apps adds.
    Entra,
}

/// What somebody may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// See every page.
    View,
    /// Change something as well.
    Operate,
}

impl Role {
    /// Returns the role of this name.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        [Self::View, Self::Operate].into_iter().find(|role| role.name() == name)
    }

    /// Returns its name: in `CONSOLE_TOKENS`, and as the value of the app role in Entra.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::View => "view",
            Self::Operate => "operate",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A token that signs somebody in.
#[derive(Debug, Clone)]
pub struct ConsoleToken {
    /// Who uses it: shown, and written to the audit log.
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// The token.
    pub token: SecretString,
}

pub(crate) fn sign_in(text: &str) -> Result<SignIn, String> {
    match text.to_ascii_lowercase().as_str() {
        "none" => Ok(SignIn::None),
        "token" => Ok(SignIn::Token),
        "entra" => Ok(SignIn::Entra),
        _ => Err("must be none, token or entra".to_owned()),
    }
}

/// Parses `NAME:ROLE:TOKEN` entries. The error never holds a part of one.
pub(crate) fn tokens(text: &str) -> Result<Vec<ConsoleToken>, String> {
    let entries = text.split(',').map(str::trim).filter(|entry| !entry.is_empty());
    let tokens: Option<Vec<ConsoleToken>> = entries.map(token).collect();
    tokens.ok_or_else(|| {
        format!(
            "must be NAME:ROLE:TOKEN, comma-separated; NAME has letters, digits and . _ - @, ROLE is view or operate, TOKEN \
             has at least {MIN_TOKEN_CHARS} letters, digits and symbols (`openssl rand -hex 32` makes one)"
        )
    })
}

fn token(entry: &str) -> Option<ConsoleToken> {
    let mut parts = entry.splitn(3, ':');
    let (name, role, token) = (parts.next()?, Role::of_name(parts.next()?)?, parts.next()?);
    let is_name = |letter: u8| letter.is_ascii_alphanumeric() || b"._-@".contains(&letter);
    let is_valid = (1..=100).contains(&name.len())
        && name.bytes().all(is_name)
        && (MIN_TOKEN_CHARS..=1000).contains(&token.len())
        && token.bytes().all(|letter| letter.is_ascii_graphic());
    is_valid.then(|| ConsoleToken {
        name: name.to_owned(),
        role,
        token: SecretString::from(token),
    })
}

/// Parses the address that browsers use.
pub(crate) fn url(text: &str) -> Result<Url, String> {
    let parsed = Url::parse(text).ok().filter(|url| {
        matches!(url.scheme(), "http" | "https")
            && url.has_host()
            && url.path() == "/"
            && url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty()
            && url.password().is_none()
    });
    parsed.ok_or_else(|| "must be an http or https URL without a path, as https://console.example".to_owned())
}

/// Parses the addresses of handlers.
pub(crate) fn handlers(text: &str) -> Result<Vec<String>, String> {
    let entries = text.split(',').map(str::trim).filter(|entry| !entry.is_empty());
    let handlers: Option<Vec<String>> = entries.map(handler).collect();
    let handlers = handlers.filter(|handlers| handlers.len() <= MAX_HANDLERS);
    handlers
        .ok_or_else(|| format!("must be at most {MAX_HANDLERS} entries host:port, comma-separated, as download:8000"))
}

fn handler(entry: &str) -> Option<String> {
    let (host, port) = entry.rsplit_once(':')?;
    // An address of IPv6 is in brackets.
    let is_host = |letter: u8| letter.is_ascii_alphanumeric() || b".-_[:]".contains(&letter);
    let is_valid = !host.is_empty() && host.bytes().all(is_host) && port.parse::<u16>().is_ok_and(|port| port > 0);
    is_valid.then(|| entry.to_owned())
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn tokens_have_a_name_a_role_and_a_length() {
        let long = "k".repeat(32);
        let read = tokens(&format!("anna@example.com:operate:{long}:x , ben:view:{long}")).unwrap();
        let read: Vec<_> = read
            .iter()
            .map(|token| (token.name.as_str(), token.role, token.token.expose_secret().len()))
            .collect();
        assert_eq!(read, [("anna@example.com", Role::Operate, 34), ("ben", Role::View, 32)]);
        assert!(tokens("").unwrap().is_empty());
        for wrong in [
            format!(":view:{long}"),
            format!("a b:view:{long}"),
            format!("a:admin:{long}"),
            "a:view:SHORT".to_owned(),
            format!("a:view:{long} x"),
            long,
        ] {
            let error = tokens(&wrong).unwrap_err();
            assert!(!error.contains("SHORT") && !error.contains("kkk"), "{error}");
        }
    }

    #[test]
    fn handlers_have_a_host_and_a_port() {
        assert_eq!(
            handlers("download:8000, [::1]:8001,,").unwrap(),
            ["download:8000", "[::1]:8001"]
        );
        for wrong in [
            "download",
            "download:0",
            ":8000",
            "http://download:8000",
            "download:8000/x",
            "a@b:1",
        ] {
            assert!(handlers(wrong).is_err(), "{wrong}");
        }
        assert!(handlers(&"a:1,".repeat(65)).is_err());
    }

    #[test]
    fn the_address_has_no_path() {
        for (text, is_valid) in [
            ("https://console.example", true),
            ("http://localhost:8088/", true),
            ("https://console.example/x", false),
            ("https://a@console.example", false),
            ("ftp://console.example", false),
            ("console.example", false),
        ] {
            assert_eq!(url(text).is_ok(), is_valid, "{text}");
        }
    }
}

//! The rules for URLs, in the order in which they apply.

use std::borrow::Cow;
use std::collections::BTreeSet;

use url::{Host, Url};

use super::candidate::Candidate;
use super::error::UrlRefusedError;
use super::spelling::{self, MAX_URL_BYTES};
use crate::ascii_case::in_lower_case;

/// Hosts that are allowed if `ALLOWED_ATTACHMENT_DOMAINS` is not set.
pub const DEFAULT_ALLOWED_HOSTS: [&str; 6] = [
    "usw2-prod-xn-exportreceiver-publish.s3.us-west-2.amazonaws.com",
    "claimxperience.s3.amazonaws.com",
    "claimxperience.s3.us-east-1.amazonaws.com",
    "www.claimxperience.com",
    "claimxperience.com",
    "xactware-claimx-us-prod.s3.us-west-1.amazonaws.com",
];

/// The result of one rule for a URL; see [`UrlPolicy::explain`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleVerdict {
    /// The rule's name.
    pub rule: &'static str,
    /// What it found, or why it refuses the URL.
    pub verdict: Result<String, String>,
}

/// The rules for attachment URLs, with the allowed hosts.
#[derive(Debug, Clone)]
pub struct UrlPolicy {
    allowed_hosts: BTreeSet<String>,
    dev: bool,
}

/// One rule.
struct Rule {
    name: &'static str,
    check: fn(&UrlPolicy, &Candidate<'_>) -> Result<(), UrlRefusedError>,
    /// Describes what it found in a URL that it accepts.
    found: fn(&Candidate<'_>) -> String,
}

/// The rules of both [`UrlPolicy::check`] and [`UrlPolicy::explain`], so that they cannot disagree. Rules about the text come
/// first, so that later ones can rely on its form.
const RULES: [Rule; 7] = [
    Rule {
        name: "length",
        check: UrlPolicy::length,
        found: |candidate| format!("{} of at most {MAX_URL_BYTES} bytes", candidate.bytes()),
    },
    Rule {
        name: "characters",
        check: UrlPolicy::characters,
        found: |candidate| characters_found(candidate).to_owned(),
    },
    Rule {
        name: "scheme",
        check: UrlPolicy::scheme,
        found: |candidate| match candidate.scheme {
            Some(scheme) if scheme.eq_ignore_ascii_case("http") => "http to localhost, in dev mode".to_owned(),
            _ => "https".to_owned(),
        },
    },
    Rule {
        name: "user information",
        check: UrlPolicy::user_information,
        found: |_| "none".to_owned(),
    },
    Rule {
        name: "host name",
        check: UrlPolicy::host_name,
        found: |candidate| shortened(&fold_host(candidate.host.unwrap_or_default())),
    },
    Rule {
        name: "port",
        check: UrlPolicy::port,
        found: |candidate| candidate.port_number().unwrap_or_default().to_string(),
    },
    Rule {
        name: "allowed host",
        check: UrlPolicy::allowed_host,
        found: |candidate| match &*fold_host(candidate.parsed_host().unwrap_or_default()) {
            "localhost" => "localhost, in dev mode".to_owned(),
            host => format!("{} is in the list", shortened(host)),
        },
    },
];

impl UrlPolicy {
    /// Returns a policy that allows exactly `allowed_hosts`; blank entries are ignored.
    #[must_use]
    pub fn new<I: IntoIterator<Item = impl AsRef<str>>>(allowed_hosts: I) -> Self {
        let allowed_hosts = allowed_hosts
            .into_iter()
            .map(|host| fold_host(host.as_ref().trim()).into_owned())
            .filter(|host| !host.is_empty())
            .collect();
        Self {
            allowed_hosts,
            dev: false,
        }
    }

    /// Also allows `localhost`, by http as well, and any port.
    #[must_use]
    pub fn in_dev_mode(self) -> Self {
        Self { dev: true, ..self }
    }

    /// Returns the URL to fetch: parsed, without fragment, and with no trailing dot in its host.
    ///
    /// # Errors
    /// The error of the first rule that refuses it.
    pub fn check(&self, raw: &str) -> Result<Url, UrlRefusedError> {
        let candidate = Candidate::read(raw);
        for rule in RULES {
            (rule.check)(self, &candidate)?;
        }
        let mut url = candidate.url?;
        if let Some(host) = url.host_str().and_then(|host| host.strip_suffix('.')) {
            let host = host.to_owned();
            url.set_host(Some(&host)).map_err(UrlRefusedError::Unparsable)?;
        }
        url.set_fragment(None);
        Ok(url)
    }

    /// Returns the URL of a redirect from `base`, for the `Location` header of a response. The same rules apply as for the
    /// first URL.
    ///
    /// # Errors
    /// The error of the first rule that refuses it.
    pub fn check_redirect(&self, base: &Url, location: &str) -> Result<Url, UrlRefusedError> {
        if location.len() > MAX_URL_BYTES {
            return Err(UrlRefusedError::TooLong(location.len()));
        }
        // Joining hides parts of the text (`///evil`, tabs, `\`), so the text is checked first.
        let written = Candidate::read(location);
        if written.scheme.is_some() {
            return self.check(location);
        }
        let tail = spelling::tail_of_reference(location);
        check_characters(location, tail)?;
        if location.starts_with("//") {
            return self.check(&format!("{}:{location}", base.scheme()));
        }
        let joined = base
            .join(&spelling::encode_from(location, tail))
            .map_err(UrlRefusedError::Unparsable)?;
        self.check(joined.as_str())
    }

    /// Returns the result of each rule for `raw`, for an operator; all are `Ok` exactly if [`Self::check`] is.
    #[must_use]
    pub fn explain(&self, raw: &str) -> Vec<RuleVerdict> {
        let candidate = Candidate::read(raw);
        RULES
            .iter()
            .map(|rule| RuleVerdict {
                rule: rule.name,
                verdict: match (rule.check)(self, &candidate) {
                    Ok(()) => Ok((rule.found)(&candidate)),
                    Err(error) => Err(error.to_string()),
                },
            })
            .collect()
    }

    /// Returns the allowed hosts, lower-case, in alphabetical order.
    pub fn allowed_hosts(&self) -> impl Iterator<Item = &str> {
        self.allowed_hosts.iter().map(String::as_str)
    }

    fn length(&self, candidate: &Candidate<'_>) -> Result<(), UrlRefusedError> {
        match candidate.bytes() {
            ..=MAX_URL_BYTES => Ok(()),
            bytes => Err(UrlRefusedError::TooLong(bytes)),
        }
    }

    /// The WHATWG parser strips or rewrites these characters before it parses; others do not.
    fn characters(&self, candidate: &Candidate<'_>) -> Result<(), UrlRefusedError> {
        check_characters(candidate.raw, candidate.tail)
    }

    fn scheme(&self, candidate: &Candidate<'_>) -> Result<(), UrlRefusedError> {
        let is = |wanted| {
            candidate
                .scheme
                .is_some_and(|scheme| scheme.eq_ignore_ascii_case(wanted))
        };
        let is_localhost = || candidate.host.is_some_and(|host| fold_host(host) == "localhost");
        match is("https") || (self.dev && is("http") && is_localhost()) {
            true => Ok(()),
            false => Err(UrlRefusedError::Scheme(scheme_name(candidate.scheme))),
        }
    }

    fn user_information(&self, candidate: &Candidate<'_>) -> Result<(), UrlRefusedError> {
        let written = candidate.authority.is_some_and(|text| text.contains('@'));
        let parsed = candidate
            .url
            .as_ref()
            .is_ok_and(|url| !url.username().is_empty() || url.password().is_some());
        if written || parsed {
            return Err(UrlRefusedError::UserInfo);
        }
        Ok(())
    }

    /// Requires a plain ASCII name that the parser does not change.
    fn host_name(&self, candidate: &Candidate<'_>) -> Result<(), UrlRefusedError> {
        let host = candidate.host.filter(|host| !host.is_empty());
        let host = host.ok_or(UrlRefusedError::NoHost)?;
        if host.contains('%') {
            return Err(UrlRefusedError::EncodedHost);
        }
        if !host.is_ascii() {
            return Err(UrlRefusedError::NonAsciiHost);
        }
        let url = candidate.parsed()?;
        let parsed = match url.host() {
            Some(Host::Domain(parsed)) => parsed,
            Some(Host::Ipv4(address)) => return Err(UrlRefusedError::IpLiteral(address.into())),
            Some(Host::Ipv6(address)) => return Err(UrlRefusedError::IpLiteral(address.into())),
            None => return Err(UrlRefusedError::NoHost),
        };
        // A written port must equal the parsed one in every digit: no `:`, `:0443` or `:+443`.
        let port_agrees = candidate
            .port
            .is_none_or(|written| url.port_or_known_default().map(|port| port.to_string()).as_deref() == Some(written));
        if !parsed.eq_ignore_ascii_case(host) || !port_agrees {
            return Err(UrlRefusedError::Ambiguous);
        }
        Ok(())
    }

    fn port(&self, candidate: &Candidate<'_>) -> Result<(), UrlRefusedError> {
        candidate.parsed()?;
        match candidate.port_number() {
            Some(port) if port == 443 || self.dev => Ok(()),
            Some(port) => Err(UrlRefusedError::Port(port)),
            None => Err(UrlRefusedError::NoHost),
        }
    }

    fn allowed_host(&self, candidate: &Candidate<'_>) -> Result<(), UrlRefusedError> {
        candidate.parsed()?;
        let host = candidate.parsed_host().ok_or(UrlRefusedError::NoHost)?;
        let host = &*fold_host(host);
        // Even if it is listed: a production handler never connects to its own machine.
        if host == "localhost" || host.ends_with(".localhost") {
            return match host == "localhost" && self.dev {
                true => Ok(()),
                false => Err(UrlRefusedError::LocalhostOutsideDev),
            };
        }
        match self.allowed_hosts.contains(host) {
            true => Ok(()),
            false => Err(UrlRefusedError::HostNotAllowed(shortened(host))),
        }
    }
}

fn check_characters(raw: &str, tail: usize) -> Result<(), UrlRefusedError> {
    match spelling::unreadable_character(raw, tail) {
        Some((what, position)) => Err(UrlRefusedError::Character { what, position }),
        None => Ok(()),
    }
}

fn characters_found(candidate: &Candidate<'_>) -> &'static str {
    let tail = &candidate.raw[candidate.tail..];
    match tail.bytes().any(|byte| byte == b' ' || !byte.is_ascii()) {
        true => "spaces and letters outside ASCII are percent-encoded",
        false => "no white space, control character or backslash",
    }
}

/// Returns the host in lower case without trailing dot: DNS reads `example.com.` as `example.com`.
fn fold_host(host: &str) -> Cow<'_, str> {
    in_lower_case(host.strip_suffix('.').unwrap_or(host))
}

/// Truncates a host for logs to 253 characters, the longest valid one (RFC 1035, section 2.3.4).
fn shortened(host: &str) -> String {
    host.chars().take(253).collect()
}

/// Returns the scheme if it is in this list. Others are not quoted: in `user:password@host` the "scheme" is the user.
fn scheme_name(scheme: Option<&str>) -> &'static str {
    const KNOWN: [&str; 12] = [
        "http",
        "ftp",
        "file",
        "data",
        "javascript",
        "ws",
        "wss",
        "blob",
        "s3",
        "gopher",
        "abfss",
        "mailto",
    ];
    match scheme {
        None => "it has no scheme",
        Some(scheme) => KNOWN
            .into_iter()
            .find(|known| known.eq_ignore_ascii_case(scheme))
            .unwrap_or("another scheme"),
    }
}

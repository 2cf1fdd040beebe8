//! From a failed request to an [`IdentityError`]: Entra's numbers, the endpoint's statuses, `az`'s words.
//!
//! Numbers: <https://learn.microsoft.com/entra/identity-platform/reference-error-codes>.

use std::error::Error as StdError;
use std::time::Duration;

use serde::Deserialize;

use crate::answer::{Answer, MAX_BODY};
use crate::azure_cli::Failure;
use crate::credential::Kind;
use crate::error::IdentityError;
use crate::scrub::scrub;

/// Why `azure_identity` gave no token.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// It says so itself.
    Failed(azure_core::Error),
    /// It did not answer in time.
    TimedOut(Duration),
    /// It gave something that cannot be a token.
    Absurd,
}

/// What was asked, of whom, for whom.
pub(crate) struct Question<'a> {
    pub(crate) kind: &'a Kind,
    /// Host and port.
    pub(crate) asked: String,
    pub(crate) scope: &'a str,
    /// What was shown to the server, which may echo it.
    pub(crate) secret: &'a str,
}

impl Question<'_> {
    pub(crate) fn explain(&self, answer: Option<Answer>, trouble: &Trouble) -> IdentityError {
        match (answer, trouble) {
            (Some(answer), _) if answer.too_large => self.bad_answer(format!(
                "status {} and more than {} KiB: {}",
                answer.status,
                MAX_BODY / 1024,
                self.hint()
            )),
            (Some(answer), _) if (200..300).contains(&answer.status) => self.bad_answer(format!(
                "status {} and {}: {}",
                answer.status,
                self.content(&answer),
                self.hint()
            )),
            (Some(answer), _) => self.refusal(&answer),
            (None, Trouble::TimedOut(limit)) => {
                self.unavailable(format!("{} did not answer within {limit:?}", self.asked), None)
            }
            (None, Trouble::Failed(error)) => {
                let cause = innermost(error, &[self.secret]);
                // By far the most frequent one behind a company's proxy.
                let hint = if cause.contains("certificate") {
                    "; if a private authority vouches for it, name its PEM file in SSL_CERT_FILE"
                } else {
                    ""
                };
                self.unavailable(format!("{}: {cause}{hint}", self.asked), None)
            }
            (None, Trouble::Absurd) => self.bad_answer(self.hint().to_owned()),
        }
    }

    fn refusal(&self, answer: &Answer) -> IdentityError {
        let refusal = Refusal::read(answer.refusal.as_deref().unwrap_or_default());
        let text = match refusal.text.as_str() {
            "" => self.content(answer),
            text => scrub(text, &[self.secret]),
        };
        let asks_for_patience =
            matches!(answer.status, 408 | 410 | 429 | 500..) || refusal.error == "temporarily_unavailable";
        if asks_for_patience {
            return self.unavailable(
                format!("{} answered {}: {text}", self.asked, answer.status),
                answer.retry_after,
            );
        }
        if let Some(error) = refusal.code.and_then(|code| self.by_number(code)) {
            return error;
        }
        if let Kind::ManagedIdentity { client, .. } = self.kind {
            match answer.status {
                400 => {
                    return IdentityError::IdentityNotAssigned {
                        client: client.map(|id| id.to_string()),
                        text,
                    };
                }
                401 | 403 => return IdentityError::HeaderRefused { status: answer.status },
                _ => {}
            }
        }
        IdentityError::Refused {
            who: self.kind.to_string(),
            status: answer.status,
            text,
        }
    }

    fn by_number(&self, code: u32) -> Option<IdentityError> {
        if let 70011 | 500_011 | 650_057 | 1_002_012 = code {
            return Some(IdentityError::ScopeUnknown {
                scope: self.scope.to_owned(),
                code,
            });
        }
        let (tenant, client, file) = match self.kind {
            Kind::ServicePrincipal { tenant, client, .. } => (tenant, client, None),
            Kind::WorkloadIdentity { tenant, client, file } => (tenant, client, Some(file)),
            Kind::ManagedIdentity { .. } | Kind::AzureCli { .. } => return None,
        };
        let (tenant, client) = (tenant.clone(), client.to_string());
        Some(match (code, file) {
            (7_000_222, None) => IdentityError::SecretExpired { client },
            (7_000_215, None) => IdentityError::SecretWrong { client },
            (700_016 | 7_000_229 | 7_000_112, _) => IdentityError::ClientUnknown { client, tenant, code },
            (90_002 | 900_023, _) => IdentityError::TenantUnknown { tenant, code },
            (700_024, Some(path)) => IdentityError::FederatedTokenExpired { path: path.clone() },
            (70_021 | 700_211..=700_213, Some(path)) => IdentityError::FederationMissing {
                client,
                path: path.clone(),
                code,
            },
            _ => return None,
        })
    }

    fn content(&self, answer: &Answer) -> String {
        match answer.content_type.as_str() {
            "" => "no content type".to_owned(),
            text => format!("content type {}", scrub(text, &[self.secret])),
        }
    }

    fn hint(&self) -> &'static str {
        match self.kind {
            Kind::ManagedIdentity { .. } => {
                "something else answers at IDENTITY_ENDPOINT; the platform sets it, so do not set it by hand"
            }
            _ => "something else than Entra answers; check AZURE_AUTHORITY_HOST and the proxy",
        }
    }

    fn unavailable(&self, reason: String, retry_after: Option<Duration>) -> IdentityError {
        IdentityError::Unavailable {
            who: self.kind.to_string(),
            reason,
            retry_after,
        }
    }

    fn bad_answer(&self, reason: String) -> IdentityError {
        IdentityError::BadAnswer {
            who: self.kind.to_string(),
            reason,
        }
    }
}

/// What `az` failed with.
pub(crate) fn cli(tenant: Option<&str>, failure: Option<Failure>, trouble: &Trouble) -> IdentityError {
    let Some(failure) = failure else {
        let text = match trouble {
            Trouble::TimedOut(limit) => {
                return IdentityError::Unavailable {
                    who: "login of the Azure CLI".to_owned(),
                    reason: format!("`az account get-access-token` did not end within {limit:?}"),
                    retry_after: None,
                };
            }
            // What it wrote would be the token.
            Trouble::Failed(error) if error.to_string().contains("expires_on") => {
                "its answer has no `expires_on`: Azure CLI 2.54 or newer is needed".to_owned()
            }
            _ => "its answer holds no token: run `az account get-access-token` by hand, and `az upgrade`".to_owned(),
        };
        return IdentityError::Cli { text };
    };
    // The shell's "not found".
    if failure.code == Some(127) {
        return IdentityError::CliMissing;
    }
    // Its own advice, or Entra's: expired refresh token, sign-in frequency, changed password, multi-factor.
    let asks_for_login = [
        "az login",
        "AADSTS700082",
        "AADSTS70043",
        "AADSTS50173",
        "AADSTS50076",
        "AADSTS50078",
    ]
    .iter()
    .any(|words| failure.text.contains(words));
    if asks_for_login {
        return IdentityError::CliLoggedOut {
            tenant: tenant.map(str::to_owned),
        };
    }
    IdentityError::Cli {
        text: match scrub(&failure.text, &[]).as_str() {
            "" => format!("it ended with code {}", failure.code.unwrap_or(-1)),
            text => text.to_owned(),
        },
    }
}

/// The last of an error's causes: the outer ones repeat the URL and say nothing.
pub(crate) fn innermost(error: &(dyn StdError + 'static), secrets: &[&str]) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    scrub(&error.to_string(), secrets)
}

/// A body that says no, in the spelling of Entra or of the managed identity endpoint.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Body {
    error: serde_json::Value,
    error_description: String,
    error_codes: Vec<u32>,
    #[serde(alias = "Message")]
    message: String,
}

struct Refusal {
    error: String,
    text: String,
    code: Option<u32>,
}

impl Refusal {
    fn read(text: &str) -> Self {
        let body: Body = serde_json::from_str(text).unwrap_or_default();
        let error = body.error.as_str().unwrap_or_default().to_owned();
        let said = [body.error_description, body.message, error.clone()];
        let said = said.into_iter().find(|text| !text.is_empty()).unwrap_or_default();
        // What follows changes with each request, and would make every message a new one.
        let sentence = said.split("Trace ID").next().unwrap_or_default().trim();
        let code = body.error_codes.first().copied().or_else(|| {
            let (_, number) = sentence.split_once("AADSTS")?;
            number.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
        });
        Self {
            error,
            text: sentence.to_owned(),
            code,
        }
    }
}

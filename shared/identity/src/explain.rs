//! Turns a failed request into an [`IdentityError`]: from Entra's numbers, the endpoint's statuses and `az`'s output.

use std::time::Duration;

use serde::Deserialize;

use crate::advice::{LOGIN_CODES, advice};
use crate::answer::{Answer, MAX_BODY};
use crate::azure_cli::Failure;
use crate::error::IdentityError;
use crate::kind::Kind;
use crate::scrub::scrub;
use xact_contracts::error_cause::innermost;

/// Why `azure_identity` returned no token.
#[derive(Debug)]
pub(crate) enum FetchFailure {
    /// It returned an error.
    Failed(azure_core::Error),
    /// It did not answer in time.
    TimedOut(Duration),
    /// Its result cannot be a token.
    Invalid,
}

/// A request for a token that failed.
pub(crate) struct Request<'a> {
    pub(crate) kind: &'a Kind,
    /// Host and port of the server.
    pub(crate) server: String,
    pub(crate) scope: &'a str,
    /// The secret that was sent; the server may echo it.
    pub(crate) secret: &'a str,
}

impl Request<'_> {
    pub(crate) fn explain(&self, answer: Option<Answer>, failure: &FetchFailure) -> IdentityError {
        match (answer, failure) {
            (Some(answer), _) if answer.too_large || (200..300).contains(&answer.status) => {
                let large = || format!("more than {} KiB", MAX_BODY / 1024);
                let what = if answer.too_large {
                    large()
                } else {
                    self.content(&answer)
                };
                self.unusable(format!("status {} and {what}: {}", answer.status, self.hint()))
            }
            (Some(answer), _) => self.error_response(&answer),
            (None, FetchFailure::TimedOut(limit)) => {
                self.unavailable(format!("{} did not answer within {limit:?}", self.server), None)
            }
            (None, FetchFailure::Failed(error)) => {
                let cause = scrub(&innermost(error).to_string(), &[self.secret]);
                // The most frequent cause behind a company's proxy.
                let hint = if cause.contains("certificate") {
                    "; if a private authority issued it, set SSL_CERT_FILE to the authority's PEM file"
                } else {
                    ""
                };
                self.unavailable(format!("{}: {cause}{hint}", self.server), None)
            }
            (None, FetchFailure::Invalid) => self.unusable(self.hint().to_owned()),
        }
    }

    fn error_response(&self, answer: &Answer) -> IdentityError {
        let error = ErrorBody::read(answer.error_body.as_deref().unwrap_or_default());
        let text = match error.text.as_str() {
            "" => self.content(answer),
            text => scrub(text, &[self.secret]),
        };
        let asks_to_retry = matches!(answer.status, 408 | 410 | 429 | 500..) || error.name == "temporarily_unavailable";
        if asks_to_retry {
            let reason = format!("{} answered {}: {text}", self.server, answer.status);
            return self.unavailable(reason, answer.retry_after);
        }
        if let Some(text) = error.code.and_then(|code| advice(code, self.kind, self.scope)) {
            return IdentityError::ActionRequired(text);
        }
        IdentityError::ActionRequired(match (self.kind, answer.status) {
            (Kind::ManagedIdentity { client: Some(id), .. }, 400) => format!(
                "the identity {id} is not assigned to this container app: assign it (`az containerapp identity assign \
                 --user-assigned`), or correct AZURE_CLIENT_ID: {text}"
            ),
            (Kind::ManagedIdentity { client: None, .. }, 400) => format!(
                "this container app has no system-assigned identity: enable it (`az containerapp identity assign \
                 --system-assigned`), or set AZURE_CLIENT_ID to the client id of its user-assigned identity: {text}"
            ),
            (Kind::ManagedIdentity { .. }, status @ (401 | 403)) => format!(
                "the managed identity endpoint refuses IDENTITY_HEADER with {status}: the platform sets it, so restart the \
                 replica, and set neither it nor IDENTITY_ENDPOINT by hand"
            ),
            (kind, status) => format!("{kind} was refused a token with {status}: {text}"),
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

    fn unusable(&self, reason: String) -> IdentityError {
        let who = self.kind.to_string();
        IdentityError::Unusable { who, reason }
    }
}

/// Explains why `az` gave no token.
pub(crate) fn explain_cli(tenant: Option<&str>, failed: Option<Failure>, failure: &FetchFailure) -> IdentityError {
    let reason = match (failed, failure) {
        (Some(failed), _) => return explain_cli_exit(tenant, &failed),
        (None, FetchFailure::TimedOut(limit)) => {
            return IdentityError::Unavailable {
                who: "login of the Azure CLI".to_owned(),
                reason: format!("`az account get-access-token` did not end within {limit:?}"),
                retry_after: None,
            };
        }
        // The rest of its output could be the token.
        (None, FetchFailure::Failed(error)) if error.to_string().contains("expires_on") => {
            "its answer has no `expires_on`: Azure CLI 2.54 or newer is needed"
        }
        (None, _) => "its answer holds no token: run `az account get-access-token` by hand, and `az upgrade`",
    };
    cli_failed(reason)
}

fn explain_cli_exit(tenant: Option<&str>, failed: &Failure) -> IdentityError {
    // The shell's code for a command that it does not find.
    if failed.code == Some(127) {
        return IdentityError::ActionRequired(
            "`az` is not on PATH: install the Azure CLI and run `az login`, or configure another identity".to_owned(),
        );
    }
    let asks_for_login = failed.text.contains("az login") || LOGIN_CODES.iter().any(|code| failed.text.contains(code));
    if asks_for_login {
        let tenant = tenant.map(|tenant| format!(" --tenant {tenant}")).unwrap_or_default();
        return IdentityError::ActionRequired(format!("the Azure CLI has no valid login: run `az login{tenant}`"));
    }
    match scrub(&failed.text, &[]).as_str() {
        "" => cli_failed(&format!("it ended with code {}", failed.code.unwrap_or(-1))),
        text => cli_failed(text),
    }
}

fn cli_failed(reason: &str) -> IdentityError {
    IdentityError::ActionRequired(format!("`az account get-access-token` failed: {reason}"))
}

/// The body of an error response of Entra or of the managed identity endpoint, as JSON.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Body {
    error: serde_json::Value,
    error_description: String,
    error_codes: Vec<u32>,
    #[serde(alias = "Message")]
    message: String,
}

/// The parts of an error response that are used.
struct ErrorBody {
    name: String,
    text: String,
    code: Option<u32>,
}

impl ErrorBody {
    fn read(text: &str) -> Self {
        let body: Body = serde_json::from_str(text).unwrap_or_default();
        let name = body.error.as_str().unwrap_or_default().to_owned();
        let texts = [body.error_description, body.message, name.clone()];
        let text = texts.into_iter().find(|text| !text.is_empty()).unwrap_or_default();
        // The ids that follow differ for each request. With them, every message would be logged as a new one.
        let sentence = text.split("Trace ID").next().unwrap_or_default().trim();
        let code = body.error_codes.first().copied().or_else(|| {
            let (_, number) = sentence.split_once("AADSTS")?;
            number.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
        });
        Self {
            name,
            text: sentence.to_owned(),
            code,
        }
    }
}

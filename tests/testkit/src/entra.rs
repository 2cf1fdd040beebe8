//! Emulates the token endpoint of Microsoft Entra ID for service principals (client credentials only)
//! (<https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow>).

use std::{collections::HashMap, sync::Arc, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use crate::{
    Result,
    http_server::{self, Answer, Request, decoded, fields},
    tokens::{Issuer, Lifetime},
};

/// Usual lifetime of tokens of Entra.
const TOKEN_LIFETIME: Duration = Duration::from_secs(3599);

/// An application and its service principal.
#[derive(Clone)]
pub struct ServicePrincipal {
    /// Id of the tenant.
    pub tenant: String,
    /// Client id.
    pub client: String,
    /// Object id: the subject of its tokens, and the principal of its role assignments.
    pub object: String,
    /// Client secret.
    pub secret: String,
}

/// The endpoint of a directory with one application. It serves until the process ends.
#[derive(Debug)]
pub struct Entra {
    port: u16,
}

impl Entra {
    /// Starts the endpoint on a free port, with tokens of `issuer`.
    pub fn start(issuer: &Arc<Issuer>, principal: ServicePrincipal) -> Result<Entra> {
        let issuer = Arc::clone(issuer);
        let port = http_server::start(move |request| {
            let answer = token(request, &issuer, &principal);
            Some(answer.unwrap_or_else(Refusal::answer))
        })?;
        Ok(Entra { port })
    }

    /// Returns the address that replaces `https://login.microsoftonline.com/`.
    pub fn login_endpoint(&self) -> String {
        format!("http://127.0.0.1:{}/", self.port)
    }
}

fn token(request: &Request, issuer: &Issuer, principal: &ServicePrincipal) -> std::result::Result<Answer, Refusal> {
    let tenant = request.path.strip_suffix("/oauth2/v2.0/token");
    if request.method != "POST" || tenant.is_none() {
        return Ok(("404 Not Found", Value::Null));
    }
    if tenant != Some(&format!("/{}", principal.tenant)) {
        return Err(Refusal::Tenant);
    }
    let form = fields(&request.body);
    if form.get("grant_type").is_none_or(|kind| kind != "client_credentials") {
        return Err(Refusal::Grant);
    }
    let (client, secret) = credentials(request, &form);
    if client != principal.client {
        return Err(Refusal::Client);
    }
    let scope = form.get("scope").and_then(|scope| scope.strip_suffix("/.default"));
    let audience = scope.ok_or(Refusal::Scope)?;
    if secret != principal.secret {
        return Err(Refusal::Secret);
    }
    match issuer.token(audience, &principal.object, Lifetime::Left(TOKEN_LIFETIME)) {
        Ok(token) => Ok((
            "200 OK",
            json!({
                "token_type": "Bearer", "expires_in": TOKEN_LIFETIME.as_secs(), "ext_expires_in": TOKEN_LIFETIME.as_secs(),
                "access_token": token,
            }),
        )),
        Err(error) => Ok((
            "500 Internal Server Error",
            json!({"error": "server_error", "error_description": error.to_string()}),
        )),
    }
}

/// Returns id and secret: from the header, in which they are encoded as in a form
/// (<https://www.rfc-editor.org/rfc/rfc6749#section-2.3.1>), or from the form.
fn credentials(request: &Request, form: &HashMap<String, String>) -> (String, String) {
    let basic = || {
        let basic = request.headers.get("authorization")?.strip_prefix("Basic ")?;
        let pair = String::from_utf8(STANDARD.decode(basic).ok()?).ok()?;
        let (client, secret) = pair.split_once(':')?;
        Some((decoded(client), decoded(secret)))
    };
    let field = |name| form.get(name).cloned().unwrap_or_default();
    basic().unwrap_or_else(|| (field("client_id"), field("client_secret")))
}

/// The reason why a token is refused
/// (<https://learn.microsoft.com/entra/identity-platform/reference-error-codes>).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refusal {
    Tenant,
    Grant,
    Client,
    Scope,
    Secret,
}

impl Refusal {
    fn answer(self) -> Answer {
        let (status, error, code, text) = match self {
            Self::Tenant => ("400 Bad Request", "invalid_request", 90_002, "Tenant not found."),
            Self::Grant => (
                "400 Bad Request",
                "unsupported_grant_type",
                70_003,
                "The app requested an unsupported grant type.",
            ),
            Self::Client => (
                "400 Bad Request",
                "unauthorized_client",
                700_016,
                "Application was not found in the directory.",
            ),
            Self::Scope => (
                "400 Bad Request",
                "invalid_scope",
                1_002_012,
                "Client credential flows must have a scope value with /.default suffixed to the resource identifier.",
            ),
            Self::Secret => (
                "401 Unauthorized",
                "invalid_client",
                7_000_215,
                "Invalid client secret provided.",
            ),
        };
        let body = json!({
            "error": error, "error_description": format!("AADSTS{code}: {text}"), "error_codes": [code],
            "error_uri": format!("https://login.microsoftonline.com/error?code={code}"),
        });
        (status, body)
    }
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    use super::*;
    use crate::http;

    const PATH: &str = "/tenant/oauth2/v2.0/token";
    const GRANT: &str = "grant_type=client_credentials&scope=https%3A%2F%2Fns%2F.default";

    fn ask(entra: &Entra, path: &str, headers: &[(&str, &str)], form: &str) -> Result<(u16, Value)> {
        let addr = format!("127.0.0.1:{}", entra.port);
        let (status, body) = http::post(&addr, path, headers, form.as_bytes())?;
        Ok((status, serde_json::from_str(&body).unwrap()))
    }

    fn entra() -> Result<Entra> {
        let principal = ServicePrincipal {
            tenant: "tenant".to_owned(),
            client: "client".to_owned(),
            object: "object".to_owned(),
            secret: "a~b+c".to_owned(),
        };
        Entra::start(&Arc::new(Issuer::new()?), principal)
    }

    #[test]
    fn a_secret_in_header_or_form_yields_a_token_for_the_scope() -> Result<()> {
        let entra = entra()?;
        let basic = format!("Basic {}", STANDARD.encode("client:a~b%2Bc"));
        let in_form = format!("{GRANT}&client_id=client&client_secret=a~b%2Bc");
        for (headers, form) in [(vec![("Authorization", basic.as_str())], GRANT), (Vec::new(), &in_form)] {
            let (status, body) = ask(&entra, PATH, &headers, form)?;
            assert_eq!((status, &body["token_type"]), (200, &json!("Bearer")), "{body}");
            let token = body["access_token"].as_str().unwrap();
            let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
            let claims: Value = serde_json::from_slice(&claims).unwrap();
            assert_eq!(
                (&claims["aud"], &claims["sub"]),
                (&json!("https://ns"), &json!("object"))
            );
        }
        Ok(())
    }

    #[test]
    fn invalid_requests_are_refused_with_the_error_codes_of_entra() -> Result<()> {
        let entra = entra()?;
        let with = |from: &str, to: &str| {
            let right = format!("{GRANT}&client_id=client&client_secret=a~b%2Bc");
            assert!(right.contains(from));
            right.replace(from, to)
        };
        for (path, form, status, error, code) in [
            (PATH, with("b%2Bc", "b"), 401, "invalid_client", 7_000_215),
            (PATH, with("=client&", "=other&"), 400, "unauthorized_client", 700_016),
            (PATH, with("%2F.default", ""), 400, "invalid_scope", 1_002_012),
            (PATH, with("client_cred", "cred"), 400, "unsupported_grant_type", 70_003),
            ("/o/oauth2/v2.0/token", with("", ""), 400, "invalid_request", 90_002),
        ] {
            let (found, body) = ask(&entra, path, &[], &form)?;
            assert_eq!(
                (found, &body["error"], &body["error_codes"]),
                (status, &json!(error), &json!([code])),
                "{form}"
            );
            assert!(!body.to_string().contains("a~b"), "{body}");
        }
        assert_eq!(ask(&entra, "/tenant/oauth2/token", &[], GRANT)?.0, 404);
        Ok(())
    }
}

//! The headers of the sign-in of Azure Container Apps.
//! <https://learn.microsoft.com/azure/container-apps/authentication#access-user-claims-in-application-code>

use axum::http::HeaderMap;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use super::user::Refusal;
use xact_config::Role;

/// The claims of the signed-in user: base64 of JSON.
const PRINCIPAL: &str = "x-ms-client-principal";
const PRINCIPAL_NAME: &str = "x-ms-client-principal-name";

#[derive(Deserialize)]
struct Principal {
    #[serde(default)]
    role_typ: Option<String>,
    #[serde(default)]
    claims: Vec<Claim>,
}

#[derive(Deserialize)]
struct Claim {
    typ: String,
    val: String,
}

/// Returns name and role of the user that the platform has signed in.
pub(super) fn user(headers: &HeaderMap) -> Result<(String, Role), Refusal> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let (Some(name), Some(principal)) = (text(PRINCIPAL_NAME), text(PRINCIPAL)) else {
        let reason = "the platform has signed nobody in: CONSOLE_SIGN_IN=entra needs the authentication of the container app, \
                      and that it requires a sign-in";
        return Err(Refusal::Forbidden(reason.to_owned()));
    };
    let principal: Option<Principal> = STANDARD
        .decode(principal)
        .ok()
        .and_then(|json| serde_json::from_slice(&json).ok());
    let Some(principal) = principal else {
        let reason = "the header X-MS-CLIENT-PRINCIPAL is not what Azure Container Apps sends";
        return Err(Refusal::Forbidden(reason.to_owned()));
    };
    let role_type = principal.role_typ.as_deref().unwrap_or("roles");
    let role = principal
        .claims
        .iter()
        .filter(|claim| claim.typ == role_type || claim.typ == "roles")
        .filter_map(|claim| Role::of_name(&claim.val))
        .max();
    match role {
        Some(role) => Ok((name.to_owned(), role)),
        None => Err(Refusal::Forbidden(format!(
            "{name} has no role here: an administrator assigns the app role view or operate in Entra (Enterprise \
             applications, Users and groups). Roles are read at the sign-in: open /.auth/logout afterwards, and sign in again"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};

    use super::*;

    fn headers(principal: &str) -> HeaderMap {
        [(PRINCIPAL_NAME, "anna@example.com"), (PRINCIPAL, principal)]
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap()))
            .into_iter()
            .collect()
    }

    fn claims(json: &str) -> HeaderMap {
        headers(&STANDARD.encode(json))
    }

    #[test]
    fn the_highest_app_role_counts_and_nobody_gets_in_without_one() {
        let found = user(&claims(
            r#"{"role_typ":"roles","claims":[{"typ":"roles","val":"view"},{"typ":"roles","val":"operate"}]}"#,
        ));
        assert_eq!(found, Ok(("anna@example.com".to_owned(), Role::Operate)));
        let found = user(&claims(
            r#"{"role_typ":"http://schemas.microsoft.com/ws/2008/06/identity/claims/role","claims":[{"typ":"http://schemas.microsoft.com/ws/2008/06/identity/claims/role","val":"view"}]}"#,
        ));
        assert_eq!(found.unwrap().1, Role::View);
        for refused in [
            claims(r#"{"claims":[{"typ":"roles","val":"Operate"},{"typ":"name","val":"operate"}]}"#),
            claims("{}"),
            claims("[]"),
            headers("not base64!"),
            HeaderMap::new(),
        ] {
            assert!(matches!(user(&refused), Err(Refusal::Forbidden(_))), "{refused:?}");
        }
    }
}

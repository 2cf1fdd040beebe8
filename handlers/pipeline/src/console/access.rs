//! Who makes a request, and what they may do.

use std::sync::Arc;

use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use uuid::Uuid;

use super::context::Context;
use super::layout::PageError;
use super::{entra, session};
use xact_config::{ConsoleSettings, Role, SignIn};

/// Tells htmx to load the page again, which then is the sign-in page.
const REFRESH: HeaderName = HeaderName::from_static("hx-refresh");

/// Somebody who is signed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct User {
    /// Shown, and written to the audit log.
    pub(super) name: String,
    pub(super) role: Role,
    /// What a form of this user must contain to change something. Other sites cannot read it.
    pub(super) form_token: String,
    /// Whether the console itself has signed them in, and so can sign them out.
    pub(super) has_session: bool,
}

impl User {
    pub(super) fn may_operate(&self) -> bool {
        self.role >= Role::Operate
    }
}

/// Decides who makes a request.
pub(super) struct Access {
    pub(super) settings: ConsoleSettings,
    /// The name of everybody where there is no sign-in.
    local_user: String,
    /// The key of form tokens, which are those of this process.
    key: [u8; 32],
}

impl Access {
    pub(super) fn new(settings: ConsoleSettings, local_user: String) -> Self {
        let mut key = [0; 32];
        // 244 random bits of the operating system.
        key[..16].copy_from_slice(Uuid::new_v4().as_bytes());
        key[16..].copy_from_slice(Uuid::new_v4().as_bytes());
        Self {
            settings,
            local_user,
            key,
        }
    }

    /// Returns whether a request would still be answered, for responses that last.
    pub(super) fn is_signed_in(&self, headers: &HeaderMap) -> bool {
        self.user(headers).is_ok()
    }

    /// Returns who makes a request, or the response to somebody unknown.
    fn user(&self, headers: &HeaderMap) -> Result<User, Refusal> {
        let (name, role) = match self.settings.sign_in {
            SignIn::None => (self.local_user.clone(), Role::Operate),
            SignIn::Token => session::user(headers, &self.settings.tokens).ok_or(Refusal::SignIn)?,
            SignIn::Entra => entra::user(headers)?,
        };
        let form_token = hex::encode(mac(&self.key, &name));
        Ok(User {
            name,
            role,
            form_token,
            has_session: self.settings.sign_in == SignIn::Token,
        })
    }
}

/// Returns the HMAC-SHA256 of a text.
pub(super) fn mac(key: &[u8], text: &str) -> [u8; 32] {
    // HMAC takes keys of every length.
    let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(key).unwrap_or_else(|_| Hmac::new(&Default::default()));
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().into()
}

/// Why a request is not answered.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Nobody is signed in, or the session has expired.
    SignIn,
    /// Somebody is, who may not do this.
    Forbidden(String),
}

/// Refuses requests of people who are not signed in, and notes the user in the others.
pub(super) async fn require_user(State(context): State<Context>, mut request: Request, next: Next) -> Response {
    match context.access.user(request.headers()) {
        Ok(user) => {
            request.extensions_mut().insert(Arc::new(user));
            next.run(request).await
        }
        Err(Refusal::SignIn) => {
            let target = request.uri().path_and_query().map_or("/", |target| target.as_str());
            let mut response = session::page(target, None);
            response.headers_mut().insert(REFRESH, HeaderValue::from_static("true"));
            response
        }
        Err(Refusal::Forbidden(reason)) => PageError::new(StatusCode::FORBIDDEN, reason).into_response(),
    }
}

impl<S: Sync> FromRequestParts<S> for User {
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, PageError> {
        let user = parts.extensions.get::<Arc<Self>>().map(|user| user.as_ref().clone());
        user.ok_or_else(|| PageError::new(StatusCode::UNAUTHORIZED, "nobody is signed in: open the overview"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_token_is_of_its_user_and_its_process() {
        let settings = ConsoleSettings {
            sign_in: SignIn::None,
            tokens: Vec::new(),
            url: None,
            handlers: Vec::new(),
        };
        let token = |access: &Access| access.user(&HeaderMap::new()).unwrap().form_token;
        let access = Access::new(settings.clone(), "anna".to_owned());
        assert_eq!(token(&access), token(&access));
        assert_ne!(token(&access), token(&Access::new(settings, "anna".to_owned())));
        assert_ne!(mac(&access.key, "anna"), mac(&access.key, "ben"));
    }
}

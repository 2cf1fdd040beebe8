//! The user that each page needs.

use std::sync::Arc;

use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::context::Context;
use super::layout::PageError;
use super::sign_in;
use super::user::{Refusal, User};

/// Tells htmx to load the page again, which then is the sign-in page.
const REFRESH: HeaderName = HeaderName::from_static("hx-refresh");

/// Refuses requests of people who are not signed in, and notes the user in the others.
pub(super) async fn require_user(State(context): State<Context>, mut request: Request, next: Next) -> Response {
    match context.access.user(request.headers()) {
        Ok(user) => {
            request.extensions_mut().insert(Arc::new(user));
            next.run(request).await
        }
        Err(Refusal::SignIn) => {
            // The form of a request that changes something is gone: its address shows another page.
            let target = request.uri().path_and_query().filter(|_| request.method().is_safe());
            let target = target.map_or("/", |target| target.as_str());
            let mut response = sign_in::page(target, None);
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

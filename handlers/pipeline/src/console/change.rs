//! Requests that change something: only from a form of the console, and only of somebody who may operate.

use axum::extract::{FromRequest, FromRequestParts, RawForm, Request};
use axum::http::StatusCode;
use subtle::ConstantTimeEq;

use super::context::Context;
use super::layout::PageError;
use super::pairs::Pairs;
use super::user::{FORM_TOKEN, User};

/// The form of a request that its user may make. Every route that changes something takes one.
pub(super) struct Change {
    pub(super) user: User,
    /// The fields, without the form token.
    pub(super) form: Pairs,
}

impl FromRequest<Context> for Change {
    type Rejection = PageError;

    async fn from_request(request: Request, context: &Context) -> Result<Self, PageError> {
        let (mut parts, body) = request.into_parts();
        let user = User::from_request_parts(&mut parts, context).await?;
        let form = RawForm::from_request(Request::from_parts(parts, body), context).await;
        let RawForm(form) = form.map_err(|error| PageError::new(error.status(), error.body_text()))?;
        let mut form = Pairs::parse(&form);
        let given = form.take(FORM_TOKEN).unwrap_or_default();
        if !user.may_operate() {
            let reason = format!(
                "{} may view, not change: an administrator gives the role operate",
                user.name
            );
            return Err(PageError::new(StatusCode::FORBIDDEN, reason));
        }
        if !bool::from(given.as_bytes().ct_eq(user.form_token.as_bytes())) {
            let reason = "the page was opened before the console was started, or another site sent this form; nothing was \
                          changed: open the page again and repeat";
            return Err(PageError::new(StatusCode::FORBIDDEN, reason));
        }
        Ok(Self { user, form })
    }
}

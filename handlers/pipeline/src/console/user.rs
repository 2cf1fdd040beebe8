//! Somebody who is signed in, or why nobody is.

use xact_config::Role;

/// The field of a form that contains the user's form token.
pub(super) const FORM_TOKEN: &str = "form-token";

/// Somebody who is signed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct User {
    /// Shown, and written to the audit log.
    pub(super) name: String,
    pub(super) role: Role,
    /// What a form of this user must contain to change something. Other sites cannot read it.
    pub(super) form_token: String,
    pub(super) sign_out: SignOut,
}

/// How somebody signs out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SignOut {
    /// Nobody has signed in.
    None,
    /// By a form: the session is one of the console.
    Form,
    /// By a link of Azure Container Apps:
    /// <https://learn.microsoft.com/azure/container-apps/authentication#sign-out-of-a-session>.
    Platform,
}

impl User {
    pub(super) fn may_operate(&self) -> bool {
        self.role >= Role::Operate
    }
}

/// Why a request is not answered.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Nobody is signed in, or the session has expired.
    SignIn,
    /// Somebody is, who may not do this.
    Forbidden(String),
}

//! Authentication by shared keys and bearer tokens, and workspaces that are closed for a while.
//!
//! OneLake accepts only Entra tokens. The emulator accepts shared keys as well, because Microsoft's clients for Python send
//! tokens only over HTTPS.

mod bearer;
mod shared_key;

use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, Method};
use parking_lot::RwLock;
use serde::{Deserialize, Serialize};

pub use bearer::AcceptedToken;
pub(crate) use bearer::{Tokens, secret_eq};
pub(crate) use shared_key::Account;

use crate::errors::{
    AUTHENTICATION_FAILED, ErrorResponse, INVALID_AUTHENTICATION, INVALID_TOKEN, NO_AUTHENTICATION, PERMISSION_MISMATCH,
};
use crate::request::Query;

/// A workspace that answers 403 to one principal, or to all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ClosedWorkspace {
    pub(crate) workspace: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) principal: Option<String>,
}

/// Who may use the emulator.
pub(crate) struct Access {
    pub(crate) account: Account,
    pub(crate) tokens: Tokens,
    closed: RwLock<Vec<ClosedWorkspace>>,
}

impl Access {
    pub(crate) fn new(tokens: Tokens) -> Self {
        Self {
            account: Account::development(),
            tokens,
            closed: RwLock::default(),
        }
    }

    /// Returns the principal of a request.
    pub(crate) fn authenticate(
        &self,
        method: &Method,
        raw_path: &str,
        query: &Query,
        headers: &HeaderMap,
    ) -> Result<String, ErrorResponse> {
        let Some(authorization) = headers.get(AUTHORIZATION) else {
            // Shared access signatures are not supported.
            let is_signed = query.has("sig");
            return Err(if is_signed {
                AUTHENTICATION_FAILED.into()
            } else {
                ErrorResponse::challenge(NO_AUTHENTICATION)
            });
        };
        let authorization = authorization.to_str().map_err(|_| INVALID_AUTHENTICATION)?;
        match authorization.split_once(' ') {
            Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => self
                .tokens
                .principal(token.trim())
                .ok_or_else(|| ErrorResponse::challenge(INVALID_TOKEN)),
            Some(("SharedKey", credentials)) => self.account.verify(credentials, method, raw_path, query, headers),
            _ => Err(INVALID_AUTHENTICATION.into()),
        }
    }

    /// Fails if the workspace is closed to the principal, as while a role assignment propagates.
    pub(crate) fn authorize(&self, principal: &str, workspace: &str) -> Result<(), ErrorResponse> {
        let closed = self.closed.read();
        let is_closed = closed.iter().any(|closed| {
            closed.workspace == workspace && closed.principal.as_deref().is_none_or(|closed| closed == principal)
        });
        if is_closed {
            Err(PERMISSION_MISMATCH.into())
        } else {
            Ok(())
        }
    }

    pub(crate) fn closed(&self) -> Vec<ClosedWorkspace> {
        self.closed.read().clone()
    }

    pub(crate) fn close(&self, what: ClosedWorkspace) {
        let mut closed = self.closed.write();
        if !closed.contains(&what) {
            closed.push(what);
        }
    }

    /// Opens what an equal [`ClosedWorkspace`] has closed, or everything.
    pub(crate) fn open(&self, what: Option<&ClosedWorkspace>) {
        let mut closed = self.closed.write();
        closed.retain(|closed| what.is_some_and(|what| what != closed));
    }
}

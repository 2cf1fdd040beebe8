//! Who makes a request, and what they may do.

use axum::http::HeaderMap;
use jiff::Timestamp;
use uuid::Uuid;

use super::mac::mac;
use super::user::{Refusal, SignOut, User};
use super::{entra, session};
use xact_config::{ConsoleSettings, Role, SignIn};

/// Decides who makes a request.
pub(super) struct Access {
    pub(super) settings: ConsoleSettings,
    /// The name of every user without a sign-in.
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
    pub(super) fn user(&self, headers: &HeaderMap) -> Result<User, Refusal> {
        let ((name, role), sign_out) = match self.settings.sign_in {
            SignIn::None => ((self.local_user.clone(), Role::Operate), SignOut::None),
            SignIn::Token => {
                let user = session::user(headers, &self.settings.tokens, Timestamp::now());
                (user.ok_or(Refusal::SignIn)?, SignOut::Form)
            }
            SignIn::Entra => (entra::user(headers)?, SignOut::Platform),
        };
        let form_token = mac(&self.key, &name);
        Ok(User {
            name,
            role,
            form_token,
            sign_out,
        })
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

//! What a 403 means: a role assignment that has not propagated yet, or a missing one.
//!
//! A new role assignment takes minutes to reach every server of a service; until then some servers answer 403. So in the
//! first minutes a 403 is reported as such; after that it is an error of the deployment.

use std::fmt;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::token::Principal;

/// "Role assignments can take up to 10 minutes to take effect":
/// <https://learn.microsoft.com/azure/role-based-access-control/troubleshooting#symptom---role-assignment-changes-are-not-being-detected>.
const PROPAGATION_TIMEOUT: Duration = Duration::from_secs(600);

/// A role that an identity needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// `Azure Event Hubs Data Receiver`, `Contributor`.
    pub role: String,
    /// `event hub xact.events.raw of evhns-xact`, `workspace 1234 of OneLake`.
    pub on: String,
    /// The command that assigns it; `{principal}` is replaced by the object id.
    pub how: String,
}

/// Whether an identity has access to a resource that needs one role. All callers share it and report every answer.
#[derive(Debug)]
pub struct Access {
    grant: Grant,
    /// The time of the first answer. From then on a new assignment has ten minutes to propagate.
    first: Mutex<Option<Instant>>,
}

impl Access {
    /// Returns access that needs `grant`.
    #[must_use]
    pub fn new(grant: Grant) -> Self {
        let first = Mutex::default();
        Self { grant, first }
    }

    /// Records that a request was allowed.
    pub fn granted(&self, now: Instant) {
        self.first.lock().get_or_insert(now);
    }

    /// Records a 403, and returns what it means.
    ///
    /// `principal` is the principal of the request, if known ([`Token::principal`](crate::Token::principal)).
    pub fn refused(&self, principal: Option<Principal>, now: Instant) -> AccessState {
        let first = *self.first.lock().get_or_insert(now);
        let left = PROPAGATION_TIMEOUT.saturating_sub(now.saturating_duration_since(first));
        AccessState {
            grant: self.grant.clone(),
            principal,
            left,
        }
    }
}

/// What the refusal of a request means. Its text is for readiness and for the error of the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessState {
    grant: Grant,
    principal: Option<Principal>,
    /// How long an assignment may still propagate; zero: the role is missing.
    left: Duration,
}

impl fmt::Display for AccessState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Grant { role, on, how } = &self.grant;
        let (who, id) = match self.principal {
            Some(principal) => (principal.to_string(), principal.object_id.to_string()),
            None => ("this identity".to_owned(), "<object id>".to_owned()),
        };
        let how = how.replace("{principal}", &id);
        let minutes = match self.left.as_secs().div_ceil(60) {
            _ if self.left.is_zero() => return write!(f, "{who} lacks the role {role} on {on} (403): {how}"),
            1 => "minute".to_owned(),
            minutes => format!("{minutes} minutes"),
        };
        write!(
            f,
            "{who} is refused on {on} (403): the assignment of the role {role} may not have propagated yet; retrying for \
             another {minutes}. If it was never assigned: {how}"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "7d3c8f0e-3a3e-4c52-9a43-0d8f4b6f2a11";

    fn access() -> Access {
        Access::new(Grant {
            role: "Azure Event Hubs Data Receiver".to_owned(),
            on: "event hub xact.events.raw of evhns-xact".to_owned(),
            how: "az role assignment create --assignee-object-id {principal} --scope <event hub>".to_owned(),
        })
    }

    fn principal() -> Option<Principal> {
        Some(Principal {
            object_id: ID.parse().unwrap(),
            application_id: None,
        })
    }

    fn refused(access: &Access, principal: Option<Principal>, at: Instant) -> String {
        access.refused(principal, at).to_string()
    }

    #[test]
    fn a_403_in_the_first_minutes_may_be_an_assignment_that_propagates() {
        let access = access();
        let start = Instant::now();
        for (seconds, left) in [(0, "another 10 minutes"), (598, "another minute")] {
            let text = refused(&access, principal(), start + Duration::from_secs(seconds));
            assert!(text.contains("may not have propagated yet"), "{text}");
            assert!(text.contains(left), "{text}");
            assert!(text.contains(&format!("--assignee-object-id {ID}")), "{text}");
        }
    }

    #[test]
    fn a_later_403_names_the_role_that_is_missing_on_what() {
        let access = access();
        let start = Instant::now();
        access.granted(start);
        let text = refused(&access, principal(), start + Duration::from_secs(600));
        let expected = format!(
            "principal {ID} lacks the role Azure Event Hubs Data Receiver on event hub xact.events.raw of evhns-xact (403): az"
        );
        assert!(text.starts_with(&expected), "{text}");
    }

    #[test]
    fn a_role_that_is_removed_later_is_missing_at_once() {
        let access = access();
        let start = Instant::now();
        access.granted(start);
        // A server that does not have the assignment yet may answer in between.
        let early = refused(&access, None, start + Duration::from_secs(180));
        assert!(early.contains("may not have propagated yet"), "{early}");
        access.granted(start + Duration::from_secs(185));
        let late = refused(&access, None, start + Duration::from_secs(86_400));
        assert!(late.starts_with("this identity lacks the role"), "{late}");
    }

    #[test]
    fn the_first_minutes_begin_with_the_first_answer() {
        // An idle stage sends its first request hours after its start.
        let text = refused(&access(), None, Instant::now() + Duration::from_secs(7200));
        assert!(text.contains("another 10 minutes"), "{text}");
    }
}

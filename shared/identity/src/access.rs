//! What a 403 means: a role assignment that has not propagated yet, or a missing one.
//!
//! A new role assignment takes minutes to reach every server of a service; until then some servers answer 403. So in the
//! first minutes a 403 is retried, and readiness reports it. After that it is an error of the deployment.

use std::fmt;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::token::Principal;

/// "Role assignments can take up to 10 minutes to take effect":
/// <https://learn.microsoft.com/azure/role-based-access-control/troubleshooting#symptom---role-assignment-changes-are-not-being-detected>.
const PROPAGATION_TIMEOUT: Duration = Duration::from_secs(600);
/// Between attempts while an assignment propagates. Each attempt is a billed request.
const PROPAGATION_RETRY_INTERVAL: Duration = Duration::from_secs(15);
/// Between attempts while a role is missing, so that no restart is needed after it is assigned.
const MISSING_RETRY_INTERVAL: Duration = Duration::from_secs(60);

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
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    /// The first answer. From then on a new assignment has ten minutes to propagate.
    first: Option<Instant>,
    refused: Option<Refused>,
}

#[derive(Debug, Clone, Copy)]
struct Refused {
    principal: Option<Principal>,
}

impl Access {
    /// Returns access that needs `grant`.
    #[must_use]
    pub fn new(grant: Grant) -> Self {
        Self {
            grant,
            seen: Mutex::default(),
        }
    }

    /// Records that a request was allowed.
    pub fn granted(&self, now: Instant) {
        let mut seen = self.seen.lock();
        seen.first.get_or_insert(now);
        seen.refused = None;
    }

    /// Records a 403, and returns what it means and when to retry.
    ///
    /// `principal` is the principal of the request, if known ([`Token::principal`](crate::Token::principal)).
    pub fn refused(&self, principal: Option<Principal>, now: Instant) -> AccessState {
        {
            let mut seen = self.seen.lock();
            seen.first.get_or_insert(now);
            seen.refused = Some(Refused { principal });
        }
        self.state(now)
    }

    /// Returns the state. [`AccessState::Propagating`] becomes [`AccessState::Missing`] after ten minutes.
    #[must_use]
    pub fn state(&self, now: Instant) -> AccessState {
        let seen = self.seen.lock();
        let Some(first) = seen.first else {
            return AccessState::Untried;
        };
        let Some(refused) = seen.refused else {
            return AccessState::Granted;
        };
        let grant = self.grant.clone();
        let principal = refused.principal;
        match PROPAGATION_TIMEOUT.checked_sub(now.saturating_duration_since(first)) {
            Some(left) if !left.is_zero() => AccessState::Propagating { grant, principal, left },
            _ => AccessState::Missing { grant, principal },
        }
    }
}

/// The state of an [`Access`]. Its text is for readiness and for the error of a refused request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccessState {
    /// No request was answered yet.
    Untried,
    /// The last request was allowed.
    Granted,
    /// The last request was refused, in the first minutes.
    Propagating {
        /// The role that is needed.
        grant: Grant,
        /// The principal of the request.
        principal: Option<Principal>,
        /// How long this is still retried.
        left: Duration,
    },
    /// The last request was refused, after an assignment would have propagated.
    Missing {
        /// The role that is needed.
        grant: Grant,
        /// The principal of the request.
        principal: Option<Principal>,
    },
}

impl AccessState {
    /// Returns whether the last request was refused.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        matches!(self, Self::Propagating { .. } | Self::Missing { .. })
    }

    /// Returns the time until the next attempt; `None`: an attempt can be made now.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Untried | Self::Granted => None,
            Self::Propagating { left, .. } => Some(PROPAGATION_RETRY_INTERVAL.min(*left)),
            Self::Missing { .. } => Some(MISSING_RETRY_INTERVAL),
        }
    }
}

impl fmt::Display for AccessState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Untried => f.write_str("not tried yet"),
            Self::Granted => f.write_str("granted"),
            Self::Propagating { grant, principal, left } => write!(
                f,
                "{} is refused on {} (403): the assignment of the role {} may not have propagated yet; retrying for another \
                 {}. If it was never assigned: {}",
                who(*principal),
                grant.on,
                grant.role,
                minutes(*left),
                how(grant, *principal)
            ),
            Self::Missing { grant, principal } => write!(
                f,
                "{} lacks the role {} on {} (403): {}",
                who(*principal),
                grant.role,
                grant.on,
                how(grant, *principal)
            ),
        }
    }
}

fn who(principal: Option<Principal>) -> String {
    principal.map_or_else(|| "this identity".to_owned(), |principal| principal.to_string())
}

fn how(grant: &Grant, principal: Option<Principal>) -> String {
    match principal {
        Some(principal) => grant.how.replace("{principal}", &principal.object_id.to_string()),
        None => grant.how.replace("{principal}", "<object id>"),
    }
}

fn minutes(left: Duration) -> String {
    match left.as_secs().div_ceil(60) {
        1 => "minute".to_owned(),
        minutes => format!("{minutes} minutes"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access() -> Access {
        Access::new(Grant {
            role: "Azure Event Hubs Data Receiver".to_owned(),
            on: "event hub xact.events.raw of evhns-xact".to_owned(),
            how:
                "az role assignment create --role \"Azure Event Hubs Data Receiver\" --assignee-object-id {principal} \
                  --scope <event hub>"
                    .to_owned(),
        })
    }

    fn principal() -> Option<Principal> {
        Some(Principal {
            object_id: "7d3c8f0e-3a3e-4c52-9a43-0d8f4b6f2a11".parse().unwrap(),
            application_id: None,
        })
    }

    #[test]
    fn a_403_in_the_first_minutes_is_retried_and_reported() {
        let access = access();
        let start = Instant::now();
        assert_eq!(access.state(start), AccessState::Untried);
        let state = access.refused(principal(), start);
        assert!(state.is_refused());
        assert_eq!(state.retry_after(), Some(Duration::from_secs(15)));
        let text = state.to_string();
        assert!(
            text.contains("may not have propagated yet") && text.contains("another 10 minutes"),
            "{text}"
        );
        assert!(
            text.contains("--assignee-object-id 7d3c8f0e-3a3e-4c52-9a43-0d8f4b6f2a11"),
            "{text}"
        );
        // The next attempt is not after the end.
        let late = access.state(start + Duration::from_secs(598));
        assert_eq!(late.retry_after(), Some(Duration::from_secs(2)));
        assert!(late.to_string().contains("another minute"), "{late}");
    }

    #[test]
    fn a_later_403_names_the_role_that_is_missing_on_what() {
        let access = access();
        let start = Instant::now();
        let _ = access.refused(principal(), start);
        // The state changes without another attempt.
        let state = access.state(start + Duration::from_secs(600));
        assert_eq!(
            state.to_string().split(": ").next().unwrap(),
            "principal 7d3c8f0e-3a3e-4c52-9a43-0d8f4b6f2a11 lacks the role Azure Event Hubs Data Receiver on event hub \
             xact.events.raw of evhns-xact (403)"
        );
        assert_eq!(state.retry_after(), Some(Duration::from_secs(60)));
    }

    #[test]
    fn a_role_that_is_removed_later_is_missing_at_once() {
        let access = access();
        let start = Instant::now();
        let _ = access.refused(None, start);
        access.granted(start + Duration::from_secs(120));
        assert_eq!(access.state(start + Duration::from_secs(121)), AccessState::Granted);
        // A server that does not have the assignment yet may answer in between.
        let flicker = access.refused(None, start + Duration::from_secs(180));
        assert!(matches!(flicker, AccessState::Propagating { .. }));
        access.granted(start + Duration::from_secs(185));
        let state = access.refused(None, start + Duration::from_secs(86_400));
        assert!(matches!(state, AccessState::Missing { .. }));
        assert!(state.to_string().starts_with("this identity lacks the role"), "{state}");
    }

    #[test]
    fn the_first_minutes_begin_with_the_first_answer() {
        let access = access();
        let start = Instant::now();
        // An idle stage sends its first request hours after its start.
        let state = access.refused(None, start + Duration::from_secs(7200));
        assert!(matches!(state, AccessState::Propagating { .. }));
    }
}

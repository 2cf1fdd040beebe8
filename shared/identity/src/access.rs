//! What a 403 means: a role that is still spreading, or one that is missing.
//!
//! A new role assignment takes minutes to reach every server of a service, and until then some of them say 403. So in the
//! first minutes a 403 is waited out, in sight of whoever looks at readiness; later it is a mistake of the deployment.

use std::fmt;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::token::Principal;

/// "Role assignments can take up to 10 minutes to take effect":
/// <https://learn.microsoft.com/azure/role-based-access-control/troubleshooting#symptom---role-assignment-changes-are-not-being-detected>.
const SPREADING: Duration = Duration::from_secs(600);
/// Between attempts while a role is spreading; each is a request that somebody pays for.
const SPREADING_RETRY: Duration = Duration::from_secs(15);
/// Between attempts while a role is missing: whoever gives it should not have to restart anything.
const MISSING_RETRY: Duration = Duration::from_secs(60);

/// A role that an identity needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// `Azure Event Hubs Data Receiver`, `Contributor`.
    pub role: String,
    /// `event hub xact.events.raw of evhns-xact`, `workspace 1234 of OneLake`.
    pub on: String,
    /// The command that gives it; `{principal}` in it is replaced by the object id.
    pub how: String,
}

/// Whether an identity is let in where it needs one role. Shared by all who go there; told of every answer.
#[derive(Debug)]
pub struct Access {
    grant: Grant,
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    /// The first answer: from here on a new assignment has its minutes.
    first: Option<Instant>,
    refused: Option<Refused>,
}

#[derive(Debug, Clone, Copy)]
struct Refused {
    principal: Option<Principal>,
}

impl Access {
    /// Access that needs `grant`.
    #[must_use]
    pub fn new(grant: Grant) -> Self {
        Self {
            grant,
            seen: Mutex::default(),
        }
    }

    /// It was let in.
    pub fn granted(&self, now: Instant) {
        let mut seen = self.seen.lock();
        seen.first.get_or_insert(now);
        seen.refused = None;
    }

    /// It was answered with 403: what that means, and when to try again.
    ///
    /// `principal` is who asked, if known ([`Token::principal`](crate::Token::principal)).
    pub fn refused(&self, principal: Option<Principal>, now: Instant) -> AccessState {
        {
            let mut seen = self.seen.lock();
            seen.first.get_or_insert(now);
            seen.refused = Some(Refused { principal });
        }
        self.state(now)
    }

    /// How it stands, for readiness. What is spreading turns into missing by time alone.
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
        match SPREADING.checked_sub(now.saturating_duration_since(first)) {
            Some(left) if !left.is_zero() => AccessState::Spreading { grant, principal, left },
            _ => AccessState::Missing { grant, principal },
        }
    }
}

/// How an [`Access`] stands. Its text is for readiness and for the error of a refused request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccessState {
    /// Nobody has gone there yet.
    Untried,
    /// The last one was let in.
    Granted,
    /// The last one was refused, in the first minutes.
    Spreading {
        /// What is needed.
        grant: Grant,
        /// Who asked.
        principal: Option<Principal>,
        /// For how long this is waited out.
        left: Duration,
    },
    /// The last one was refused, and no assignment takes so long.
    Missing {
        /// What is needed.
        grant: Grant,
        /// Who asked.
        principal: Option<Principal>,
    },
}

impl AccessState {
    /// Whether there is reason to hold back readiness.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        matches!(self, Self::Spreading { .. } | Self::Missing { .. })
    }

    /// When to try again; `None`: nothing speaks against now.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Untried | Self::Granted => None,
            Self::Spreading { left, .. } => Some(SPREADING_RETRY.min(*left)),
            Self::Missing { .. } => Some(MISSING_RETRY),
        }
    }
}

impl fmt::Display for AccessState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Untried => f.write_str("not tried yet"),
            Self::Granted => f.write_str("granted"),
            Self::Spreading { grant, principal, left } => write!(
                f,
                "{} is refused on {} (403): the role {} may still be spreading, which is waited for, another {} at most. \
                 If it was never given: {}",
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
    fn a_403_in_the_first_minutes_is_waited_out_and_says_so() {
        let access = access();
        let start = Instant::now();
        assert_eq!(access.state(start), AccessState::Untried);
        let state = access.refused(principal(), start);
        assert!(state.is_refused());
        assert_eq!(state.retry_after(), Some(Duration::from_secs(15)));
        let text = state.to_string();
        assert!(
            text.contains("may still be spreading") && text.contains("another 10 minutes"),
            "{text}"
        );
        assert!(
            text.contains("--assignee-object-id 7d3c8f0e-3a3e-4c52-9a43-0d8f4b6f2a11"),
            "{text}"
        );
        // Just before the end the next attempt is not beyond it.
        let late = access.state(start + Duration::from_secs(598));
        assert_eq!(late.retry_after(), Some(Duration::from_secs(2)));
        assert!(late.to_string().contains("another minute"), "{late}");
    }

    #[test]
    fn a_later_403_names_the_role_that_is_missing_on_what() {
        let access = access();
        let start = Instant::now();
        let _ = access.refused(principal(), start);
        // Readiness sees it without another attempt.
        let state = access.state(start + Duration::from_secs(600));
        assert_eq!(
            state.to_string().split(": ").next().unwrap(),
            "principal 7d3c8f0e-3a3e-4c52-9a43-0d8f4b6f2a11 lacks the role Azure Event Hubs Data Receiver on event hub \
             xact.events.raw of evhns-xact (403)"
        );
        assert_eq!(state.retry_after(), Some(Duration::from_secs(60)));
    }

    #[test]
    fn once_let_in_it_is_granted_and_a_role_taken_away_is_missing_at_once() {
        let access = access();
        let start = Instant::now();
        let _ = access.refused(None, start);
        access.granted(start + Duration::from_secs(120));
        assert_eq!(access.state(start + Duration::from_secs(121)), AccessState::Granted);
        // Servers that have not heard of the role yet may still answer in between.
        let flicker = access.refused(None, start + Duration::from_secs(180));
        assert!(matches!(flicker, AccessState::Spreading { .. }));
        access.granted(start + Duration::from_secs(185));
        let state = access.refused(None, start + Duration::from_secs(86_400));
        assert!(matches!(state, AccessState::Missing { .. }));
        assert!(state.to_string().starts_with("this identity lacks the role"), "{state}");
    }

    #[test]
    fn the_minutes_begin_with_the_first_answer_not_with_the_process() {
        let access = access();
        let start = Instant::now();
        // An idle stage goes there hours after its start.
        let state = access.refused(None, start + Duration::from_secs(7200));
        assert!(matches!(state, AccessState::Spreading { .. }));
    }
}

//! How many requests of each verb came in, and how they were answered: so that a test can say what a client must not send.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use serde::Serialize;

use crate::verbs::Verb;

/// What happened to the requests of one verb.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct VerbCount {
    /// Requests that came in.
    pub requests: u64,
    /// Answers by status. A request whose connection was cut, or whose client went away, has none.
    pub statuses: BTreeMap<u16, u64>,
}

/// The counts of all verbs.
#[derive(Default)]
pub(crate) struct Counters(Mutex<BTreeMap<Verb, VerbCount>>);

impl Counters {
    pub(crate) fn came(&self, verb: Verb) {
        self.with(verb, |count| count.requests += 1);
    }

    pub(crate) fn answered(&self, verb: Verb, status: u16) {
        self.with(verb, |count| *count.statuses.entry(status).or_default() += 1);
    }

    pub(crate) fn of(&self, verb: Verb) -> VerbCount {
        self.all().remove(&verb).unwrap_or_default()
    }

    pub(crate) fn all(&self) -> BTreeMap<Verb, VerbCount> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn with(&self, verb: Verb, change: impl FnOnce(&mut VerbCount)) {
        change(
            self.0
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .entry(verb)
                .or_default(),
        );
    }
}

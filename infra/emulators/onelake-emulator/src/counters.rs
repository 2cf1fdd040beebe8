//! Counts of requests and answers for each verb, and what OneLake would bill for them.
//!
//! As in Azure ("Map each REST operation to a price"), every authenticated request is billed, also one that is answered
//! with 403, 404, 409, 412 or 429, and one whose answer does not reach the client. Not billed are requests that fail
//! authentication, that a `cut-before` fault drops, or whose client disconnects before they are carried out.

use std::collections::BTreeMap;

use parking_lot::Mutex;
use serde::Serialize;

use crate::request::Query;
use crate::target::Target;
use crate::verbs::Verb;
use xact_contracts::onelake_billing::{Bill, BillingClass};

/// The counts of one verb.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct VerbCount {
    /// Requests received.
    pub requests: u64,
    /// Answers by status. A request whose connection was closed has none.
    pub statuses: BTreeMap<u16, u64>,
}

/// The folder of an item that a request is about; for a list, the folder that it lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Area {
    /// Below `Files`.
    Files,
    /// Below `Tables`.
    Tables,
    /// Workspaces, items, and other folders of items.
    Other,
}

impl Area {
    /// All areas.
    pub const ALL: [Self; 3] = [Self::Files, Self::Tables, Self::Other];

    /// Returns its name at `/__admin/requests`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Files => "Files",
            Self::Tables => "Tables",
            Self::Other => "other",
        }
    }

    pub(crate) fn of(target: Option<&Target>, verb: Verb, query: &Query) -> Self {
        let folder = match verb {
            // `Lake.Lakehouse/Files/…`
            Verb::ListPaths => query.get("directory").and_then(|path| path.split('/').nth(1)),
            Verb::ListBlobs => query.get("prefix").and_then(|path| path.split('/').nth(1)),
            _ => target.and_then(|target| target.segments().get(2)).map(String::as_str),
        };
        match folder {
            Some("Files") => Self::Files,
            Some("Tables") => Self::Tables,
            _ => Self::Other,
        }
    }
}

#[derive(Default)]
struct Counts {
    verbs: BTreeMap<Verb, VerbCount>,
    bills: BTreeMap<Area, Bill>,
}

/// The counts of all verbs, and the bills of all areas.
#[derive(Default)]
pub(crate) struct Counters(Mutex<Counts>);

impl Counters {
    pub(crate) fn received(&self, verb: Verb) {
        self.0.lock().verbs.entry(verb).or_default().requests += 1;
    }

    pub(crate) fn answered(&self, verb: Verb, status: u16) {
        let mut counts = self.0.lock();
        let count = counts.verbs.entry(verb).or_default();
        *count.statuses.entry(status).or_default() += 1;
    }

    pub(crate) fn billed(&self, area: Area, class: BillingClass, body_bytes: u64) {
        self.0.lock().bills.entry(area).or_default().add(class, body_bytes);
    }

    pub(crate) fn of(&self, verb: Verb) -> VerbCount {
        self.0.lock().verbs.get(&verb).cloned().unwrap_or_default()
    }

    pub(crate) fn all(&self) -> BTreeMap<Verb, VerbCount> {
        self.0.lock().verbs.clone()
    }

    pub(crate) fn bill_of(&self, area: Area) -> Bill {
        self.0.lock().bills.get(&area).cloned().unwrap_or_default()
    }

    pub(crate) fn bill(&self) -> Bill {
        let mut whole = Bill::default();
        for bill in self.0.lock().bills.values() {
            whole += bill;
        }
        whole
    }

    pub(crate) fn clear(&self) {
        *self.0.lock() = Counts::default();
    }
}

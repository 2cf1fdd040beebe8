//! What works and what does not: behind `/health/live` and `/health/ready`.
//!
//! Each component (a worker, its broker connection, a dependency) reports its own state; the log says a change once.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Mutex, MutexGuard};

/// After so long without a poll a worker's thread is taken for stuck.
const STUCK_AFTER: Duration = Duration::from_secs(120);

/// The health of a process. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Health(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// By component: what is not here is well.
    troubles: BTreeMap<String, Trouble>,
    /// Worker threads and when they last came round.
    heartbeats: BTreeMap<String, Instant>,
    /// How many wait for a component, where that is what decides.
    waiting: BTreeMap<String, usize>,
}

#[derive(Debug)]
struct Trouble {
    reason: String,
    /// A component that only starts is in no trouble yet.
    is_logged: bool,
}

/// Somebody waits for a component: it counts as down until the last one that waits has dropped this.
#[derive(Debug)]
pub struct Waiting {
    health: Health,
    component: String,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let is_last = {
            let mut state = self.health.state();
            let waiting = state.waiting.entry(self.component.clone()).or_default();
            *waiting = waiting.saturating_sub(1);
            let is_last = *waiting == 0;
            if is_last {
                state.waiting.remove(&self.component);
            }
            is_last
        };
        if is_last {
            self.health.up(&self.component);
        }
    }
}

impl Health {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock()
    }

    /// The component does not work; logged when it is new or its reason changed.
    pub fn down(&self, component: &str, reason: impl Into<String>) {
        let reason = reason.into();
        let trouble = Trouble {
            reason: reason.clone(),
            is_logged: true,
        };
        let before = self.state().troubles.insert(component.to_owned(), trouble);
        match before {
            // Reasons that differ in a detail (an address, a count) would fill the log: only the first is a warning.
            Some(before) if before.is_logged => {
                if before.reason != reason {
                    tracing::debug!(component, reason, "still not ready");
                }
            }
            _ => tracing::warn!(component, reason, "not ready"),
        }
    }

    /// The component does not work, and the caller waits for it. It works again when nobody waits any more: what
    /// succeeds without it says nothing about it.
    #[must_use]
    pub fn wait_for(&self, component: &str, reason: impl Into<String>) -> Waiting {
        *self.state().waiting.entry(component.to_owned()).or_default() += 1;
        self.down(component, reason);
        Waiting {
            health: self.clone(),
            component: component.to_owned(),
        }
    }

    /// The component is expected to come up; nothing is wrong yet, so nothing is logged.
    pub fn starting(&self, component: &str, reason: &str) {
        let trouble = Trouble {
            reason: reason.to_owned(),
            is_logged: false,
        };
        self.state().troubles.insert(component.to_owned(), trouble);
    }

    /// The component works; logged when it did not before.
    pub fn up(&self, component: &str) {
        let before = self.state().troubles.remove(component);
        if before.is_some() {
            tracing::info!(component, "ready");
        }
    }

    /// The component is gone with its worker.
    pub fn forget(&self, component: &str) {
        let mut state = self.state();
        state.troubles.remove(component);
        state.heartbeats.remove(component);
    }

    /// A worker's thread came round.
    pub fn beat(&self, worker: &str) {
        let mut state = self.state();
        match state.heartbeats.get_mut(worker) {
            Some(beat) => *beat = Instant::now(),
            None => {
                state.heartbeats.insert(worker.to_owned(), Instant::now());
            }
        }
    }

    /// Why the process is not ready; empty when it is.
    #[must_use]
    pub fn not_ready(&self) -> BTreeMap<String, String> {
        let state = self.state();
        let reasons = state.troubles.iter();
        reasons
            .map(|(component, trouble)| (component.clone(), trouble.reason.clone()))
            .collect()
    }

    /// Workers whose thread is stuck; empty when the process lives.
    #[must_use]
    pub fn stuck(&self) -> Vec<String> {
        self.state()
            .heartbeats
            .iter()
            .filter(|(_, beat)| beat.elapsed() > STUCK_AFTER)
            .map(|(worker, _)| worker.clone())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_component_is_down_as_long_as_somebody_waits_for_it() {
        let health = Health::default();
        let first = health.wait_for("lake", "refused");
        let second = health.wait_for("lake", "refused again");
        drop(first);
        assert_eq!(health.not_ready()["lake"], "refused again");
        drop(second);
        assert!(health.not_ready().is_empty());
    }

    #[test]
    fn ready_when_every_component_is() {
        let health = Health::default();
        health.starting("download", "waiting for partitions");
        health.down("lake", "refused");
        assert_eq!(health.not_ready().len(), 2);
        health.up("download");
        health.up("lake");
        assert!(health.not_ready().is_empty());
    }
}

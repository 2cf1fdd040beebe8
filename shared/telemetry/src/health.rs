//! The health of the process, served at `/health/live` and `/health/ready`.
//!
//! Each component (a worker, its broker connection, a dependency) reports its own state. Changes are logged.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Mutex, MutexGuard};

/// A worker thread that has not polled for this time is stuck.
const HEARTBEAT_TIMEOUT: Duration = Duration::from_secs(120);

/// The health of a process. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Health(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// Components that are not ready; all others are.
    not_ready: BTreeMap<String, NotReady>,
    /// Last poll of each worker thread.
    heartbeats: BTreeMap<String, Instant>,
    /// Number of callers that wait for a component.
    waiting: BTreeMap<String, usize>,
}

#[derive(Debug)]
struct NotReady {
    reason: String,
    /// A component that is starting is not logged.
    is_logged: bool,
}

/// A caller that waits for a component. The component is down until the last caller has dropped this guard.
#[derive(Debug)]
pub struct Waiting {
    health: Health,
    component: String,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let mut state = self.health.state();
        if let Some(waiting) = state.waiting.get_mut(&self.component).filter(|waiting| **waiting > 1) {
            *waiting -= 1;
            return;
        }
        state.waiting.remove(&self.component);
        drop(state);
        self.health.up(&self.component);
    }
}

impl Health {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock()
    }

    /// Sets the component to not ready, and logs the change.
    pub fn down(&self, component: &str, reason: impl Into<String>) {
        let reason = reason.into();
        let state = NotReady {
            reason: reason.clone(),
            is_logged: true,
        };
        let before = self.state().not_ready.insert(component.to_owned(), state);
        match before.filter(|before| before.is_logged) {
            None => tracing::warn!(component, reason, "not ready"),
            // Reasons may differ in a detail (an address, a count): only the first is a warning.
            Some(before) if before.reason != reason => {
                tracing::debug!(component, reason, "not ready for another reason");
            }
            Some(_) => {}
        }
    }

    /// Sets the component to not ready while the caller waits for it. It is ready again when no caller waits: work that
    /// succeeds without the component does not show that it is ready.
    #[must_use]
    pub fn wait_for(&self, component: &str, reason: impl Into<String>) -> Waiting {
        *self.state().waiting.entry(component.to_owned()).or_default() += 1;
        self.down(component, reason);
        Waiting {
            health: self.clone(),
            component: component.to_owned(),
        }
    }

    /// Sets a component that is starting to not ready, without a log line.
    pub fn starting(&self, component: &str, reason: &str) {
        let state = NotReady {
            reason: reason.to_owned(),
            is_logged: false,
        };
        self.state().not_ready.insert(component.to_owned(), state);
    }

    /// Sets the component to ready, and logs the change.
    pub fn up(&self, component: &str) {
        let before = self.state().not_ready.remove(component);
        if before.is_some() {
            tracing::info!(component, "ready");
        }
    }

    /// Logs each component that is still not ready, so that an alert on logs lasts as long as the outage. Call it every five
    /// minutes. A component that is starting is left out: it may wait for partitions as long as other replicas have them.
    pub fn remind(&self) {
        for (component, state) in self.state().not_ready.iter().filter(|(_, state)| state.is_logged) {
            tracing::warn!(component, reason = state.reason, "still not ready");
        }
    }

    /// Removes a component whose worker has ended.
    pub fn forget(&self, component: &str) {
        let mut state = self.state();
        state.not_ready.remove(component);
        state.heartbeats.remove(component);
    }

    /// Records a poll of a worker thread.
    pub fn beat(&self, worker: &str) {
        let mut state = self.state();
        match state.heartbeats.get_mut(worker) {
            Some(beat) => *beat = Instant::now(),
            None => {
                state.heartbeats.insert(worker.to_owned(), Instant::now());
            }
        }
    }

    /// Returns why the process is not ready; empty if it is.
    #[must_use]
    pub fn not_ready(&self) -> BTreeMap<String, String> {
        let state = self.state();
        let reason = |(component, state): (&String, &NotReady)| (component.clone(), state.reason.clone());
        state.not_ready.iter().map(reason).collect()
    }

    /// Returns the workers whose thread is stuck; empty if the process is alive.
    #[must_use]
    pub fn stuck(&self) -> Vec<String> {
        let state = self.state();
        let stuck = state
            .heartbeats
            .iter()
            .filter(|(_, beat)| beat.elapsed() > HEARTBEAT_TIMEOUT);
        stuck.map(|(worker, _)| worker.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_component_is_not_ready_while_a_caller_waits_for_it() {
        let health = Health::default();
        let first = health.wait_for("lake", "refused");
        let second = health.wait_for("lake", "refused again");
        drop(first);
        assert_eq!(health.not_ready()["lake"], "refused again");
        drop(second);
        assert!(health.not_ready().is_empty());
    }

    #[test]
    fn the_process_is_ready_when_every_component_is() {
        let health = Health::default();
        health.starting("download", "waiting for partitions");
        health.down("lake", "refused");
        assert_eq!(health.not_ready().len(), 2);
        health.up("download");
        health.up("lake");
        assert!(health.not_ready().is_empty());
    }
}

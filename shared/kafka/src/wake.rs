//! Wakes a thread that serves librdkafka, so that it can sleep instead of polling at intervals.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

/// Wakes one thread. Clones wake the same one.
///
/// A wake-up that arrives while the thread is not waiting ends its next wait at once, so none is lost between the thread's
/// last check and its wait.
#[derive(Debug, Clone, Default)]
pub struct Wake(Arc<State>);

#[derive(Debug, Default)]
struct State {
    is_awake: Mutex<bool>,
    changed: Condvar,
}

impl Wake {
    /// Ends the current wait, or the next one. librdkafka calls this with its queue locked, so it does nothing else.
    pub fn wake(&self) {
        let mut is_awake = self.0.is_awake.lock();
        if !*is_awake {
            *is_awake = true;
            self.0.changed.notify_one();
        }
    }

    /// Waits for a wake-up, at most for `timeout`.
    pub fn wait(&self, timeout: Duration) {
        let mut is_awake = self.0.is_awake.lock();
        self.0
            .changed
            .wait_while_for(&mut is_awake, |is_awake| !*is_awake, timeout);
        *is_awake = false;
    }

    /// Whether the next wait ends at once.
    #[must_use]
    pub fn is_awake(&self) -> bool {
        *self.0.is_awake.lock()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Longer than any test may take: a wait that reaches it missed its wake-up.
    const FOREVER: Duration = Duration::from_secs(3600);

    #[test]
    fn a_wake_up_before_the_wait_ends_it_and_only_that_one() {
        let wake = Wake::default();
        wake.wake();
        wake.wake();
        wake.wait(FOREVER);
        assert!(!wake.is_awake());
        wake.wait(Duration::ZERO);
    }

    #[test]
    fn a_wake_up_from_another_thread_ends_the_wait() {
        let wake = Wake::default();
        let other = wake.clone();
        let waker = std::thread::spawn(move || other.wake());
        wake.wait(FOREVER);
        waker.join().unwrap();
    }
}

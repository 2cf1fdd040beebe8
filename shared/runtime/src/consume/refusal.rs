//! A broker that knows who we are and does not let us read: librdkafka tells of it once, and of its end never.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer as _};

use super::hooks::Hooks;

/// Between two looks at whether it is over.
pub(super) const LOOK_AGAIN: Duration = Duration::from_secs(15);

/// A refusal that is not over, as far as we know.
pub(super) struct Refusal {
    error: String,
    /// When to look again.
    next: Instant,
}

impl Refusal {
    /// The broker has just refused; told in health.
    pub(super) fn new(hooks: &Hooks, error: String) -> Self {
        hooks.tell_refused(&error);
        Self {
            error,
            next: Instant::now() + LOOK_AGAIN,
        }
    }

    /// Looks now and then whether it is over. As long as it is not, health is told again: what may still be spreading
    /// turns into what is missing.
    pub(super) fn is_over(&mut self, client: &BaseConsumer<Hooks>, answer: Duration) -> bool {
        if Instant::now() < self.next {
            return false;
        }
        self.next = Instant::now() + LOOK_AGAIN;
        let hooks = client.context();
        let ours = hooks.partitions().keys().next().cloned();
        let is_over = match ours {
            Some((topic, partition)) => client.fetch_watermarks(&topic, partition, answer).is_ok(),
            // It joins by itself when it is let in, and may be given nothing to read.
            None => hooks.joined.load(Ordering::Relaxed),
        };
        if is_over {
            hooks.rights.granted();
        } else {
            hooks.tell_refused(&self.error);
        }
        is_over
    }
}

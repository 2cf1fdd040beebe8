//! Waiting times between attempts: exponential with jitter, so that many processes do not knock at once.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};

/// Endless waiting times from 200 ms to 15 s: for dependencies, which are waited for however long they are away.
pub fn dependency() -> impl Iterator<Item = Duration> + Send {
    endless(Duration::from_millis(200), Duration::from_secs(15))
}

/// Endless waiting times from 1 s to 30 s: for a worker that failed as a whole.
pub fn restart() -> impl Iterator<Item = Duration> + Send {
    endless(Duration::from_secs(1), Duration::from_secs(30))
}

fn endless(first: Duration, longest: Duration) -> impl Iterator<Item = Duration> + Send {
    ExponentialBuilder::default()
        .with_min_delay(first)
        .with_max_delay(longest)
        .with_jitter()
        .without_max_times()
        .build()
        .chain(std::iter::repeat(longest))
}

#[cfg(test)]
mod tests {
    #[test]
    fn waits_grow_and_never_end() {
        let waits: Vec<_> = super::dependency().take(40).collect();
        assert_eq!(waits.len(), 40);
        assert!(waits[0] < waits[10]);
        // Jitter adds at most the delay itself.
        assert!(waits.iter().all(|wait| wait.as_secs() <= 30));
    }
}

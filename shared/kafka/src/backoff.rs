//! Delays between attempts: exponential with jitter, so that many processes do not retry at the same moment.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};

/// Returns endless delays from 200 ms to 15 s, for an unavailable dependency. The caller retries until it is back.
pub fn dependency() -> impl Iterator<Item = Duration> + Send {
    endless(Duration::from_millis(200), Duration::from_secs(15))
}

/// Returns endless delays from 1 s to 30 s, for a worker that failed as a whole.
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
    fn delays_grow_and_never_end() {
        let delays: Vec<_> = super::dependency().take(40).collect();
        assert_eq!(delays.len(), 40);
        assert!(delays[0] < delays[10]);
        // Jitter adds at most the delay itself.
        assert!(delays.iter().all(|delay| delay.as_secs() <= 30));
    }
}

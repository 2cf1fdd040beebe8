//! Percentiles of times.

use std::time::Duration;

/// Half, and nineteen of twenty, of some times were not longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Latency {
    /// The median.
    pub p50: Duration,
    /// The 95th percentile.
    pub p95: Duration,
}

impl Latency {
    /// Returns the percentiles by nearest rank; `None` for no times.
    pub(super) fn of(mut milliseconds: Vec<u32>) -> Option<Self> {
        let last = milliseconds.len().checked_sub(1)?;
        let mut percentile = |percent: usize| {
            let rank = (milliseconds.len() * percent).div_ceil(100).saturating_sub(1).min(last);
            let (_, value, _) = milliseconds.select_nth_unstable(rank);
            Duration::from_millis((*value).into())
        };
        Some(Self {
            p50: percentile(50),
            p95: percentile(95),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_those_of_the_nearest_rank() {
        let of = |times: &[u32]| Latency::of(times.to_vec()).map(|it| (it.p50.as_millis(), it.p95.as_millis()));
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[7]), Some((7, 7)));
        assert_eq!(of(&[9, 1]), Some((1, 9)));
        let hundred: Vec<u32> = (1..=100).rev().collect();
        assert_eq!(of(&hundred), Some((50, 95)));
    }
}

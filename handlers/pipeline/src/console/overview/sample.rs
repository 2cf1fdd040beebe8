//! Rates, standstill and samples from positions that were read one after the other.

use jiff::{SignedDuration, Timestamp};

/// Rates are measured over at least this time.
const RATE_INTERVAL: SignedDuration = SignedDuration::from_secs(30);
/// Time between two samples of a chart.
const SAMPLE_INTERVAL: SignedDuration = SignedDuration::from_mins(1);

/// The sums of a topic's partitions in one reading.
#[derive(Debug, Clone, Copy)]
pub(super) struct Point {
    pub(super) at: Timestamp,
    pub(super) end: i64,
    pub(super) committed: i64,
    pub(super) lag: u64,
}

/// What a chart shows of one time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Sample {
    pub(super) at: Timestamp,
    pub(super) lag: u64,
    pub(super) written: Option<f64>,
    pub(super) finished: Option<f64>,
}

/// Returns the records a second that were written and that were finished.
pub(super) fn rates(series: &[Point]) -> (Option<f64>, Option<f64>) {
    let Some((newest, before)) = series.split_last() else {
        return (None, None);
    };
    let age = |point: &Point| newest.at.duration_since(point.at);
    // Nothing is known of the time when nobody looked.
    let is_near = |point: &&Point| age(point) <= RATE_INTERVAL * 2;
    let earlier = before
        .iter()
        .rfind(|point| age(point) >= RATE_INTERVAL)
        .filter(is_near)
        .or_else(|| before.iter().find(is_near));
    let Some(earlier) = earlier else {
        return (None, None);
    };
    let seconds = newest.at.duration_since(earlier.at).as_secs_f64();
    #[expect(clippy::cast_precision_loss, reason = "a rate of a minute")]
    let rate = |difference: i64| Some(difference.max(0) as f64 / seconds).filter(|rate| rate.is_finite());
    (
        rate(newest.end - earlier.end),
        rate(newest.committed - earlier.committed),
    )
}

/// Returns since when the position has not moved while records waited.
pub(super) fn stands_since(series: &[Point]) -> Option<Timestamp> {
    let newest = series.last()?;
    let standing = series
        .iter()
        .rev()
        .take_while(|point| point.lag > 0 && point.committed == newest.committed);
    standing.last().map(|point| point.at).filter(|since| *since < newest.at)
}

/// Returns a sample a minute, and the newest.
pub(super) fn samples(series: &[Point]) -> Vec<Sample> {
    let mut samples: Vec<Sample> = Vec::new();
    for (number, point) in series.iter().enumerate() {
        let is_next = samples
            .last()
            .is_none_or(|last| point.at.duration_since(last.at) >= SAMPLE_INTERVAL);
        if is_next || number + 1 == series.len() {
            let (written, finished) = rates(&series[..=number]);
            samples.push(Sample {
                at: point.at,
                lag: point.lag,
                written,
                finished,
            });
        }
    }
    samples
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(points: &[(i64, i64, i64)]) -> Vec<Point> {
        let point = |&(second, end, committed): &(i64, i64, i64)| Point {
            at: Timestamp::from_second(second).unwrap(),
            end,
            committed,
            lag: u64::try_from(end - committed).unwrap(),
        };
        points.iter().map(point).collect()
    }

    #[test]
    fn rates_are_of_the_last_half_minute() {
        assert_eq!(rates(&series(&[])), (None, None));
        assert_eq!(rates(&series(&[(0, 5, 5)])), (None, None));
        assert_eq!(rates(&series(&[(0, 0, 0), (10, 20, 10)])), (Some(2.0), Some(1.0)));
        assert_eq!(
            rates(&series(&[(0, 0, 0), (60, 100, 100), (95, 170, 135), (100, 180, 140)])),
            (Some(2.0), Some(1.0))
        );
        // Retention removed records: the end never goes back, but a topic that is made again does.
        assert_eq!(rates(&series(&[(0, 50, 50), (60, 0, 0)])), (Some(0.0), Some(0.0)));
    }

    #[test]
    fn a_group_stands_while_its_position_does_not_move_and_records_wait() {
        let since = |points: &[(i64, i64, i64)]| stands_since(&series(points)).map(Timestamp::as_second);
        assert_eq!(since(&[(0, 9, 5)]), None, "one reading says nothing");
        assert_eq!(since(&[(0, 9, 4), (5, 9, 5), (10, 9, 5), (15, 12, 5)]), Some(5));
        assert_eq!(since(&[(0, 9, 5), (5, 9, 6)]), None);
        assert_eq!(since(&[(0, 9, 9), (5, 9, 9)]), None, "nothing waits");
    }

    #[test]
    fn samples_are_a_minute_apart_and_the_newest_is_one() {
        let points: Vec<(i64, i64, i64)> = (0..=25)
            .map(|reading| (reading * 5, reading * 10, reading * 5))
            .collect();
        let samples = samples(&series(&points));
        let seconds: Vec<i64> = samples.iter().map(|sample| sample.at.as_second()).collect();
        assert_eq!(seconds, [0, 60, 120, 125]);
        assert_eq!(
            (samples[0].written, samples[3].written, samples[3].finished),
            (None, Some(2.0), Some(1.0))
        );
    }
}

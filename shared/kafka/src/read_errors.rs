//! Recent errors of a client that do not concern its connection. They explain why a partition is not read.
//!
//! rdkafka does not pass on an error's partition, and passes its text only to the client's context. The text names the
//! offset, if there is one.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use xact_contracts::redaction::redact_text;

/// Distinct errors to keep. Each stuck partition repeats its own error.
const MAX_ERRORS: usize = 32;

/// Recent errors with their time, newest last.
#[derive(Debug, Default)]
pub struct ReadErrors(Mutex<VecDeque<(String, Instant)>>);

impl ReadErrors {
    /// Adds an error.
    pub fn add(&self, reason: &str, now: Instant) {
        let reason = redact_text(reason);
        let mut errors = self.0.lock();
        errors.retain(|(known, _)| *known != reason);
        errors.push_back((reason, now));
        if errors.len() > MAX_ERRORS {
            errors.pop_front();
        }
    }

    /// Removes all errors.
    pub fn clear(&self) {
        self.0.lock().clear();
    }

    /// Returns the errors that name this offset and are no older than `age`, sorted. Partitions that are at the same offset
    /// cannot be distinguished.
    pub fn at_offset(&self, offset: i64, age: Duration, now: Instant) -> Vec<String> {
        let errors = self.0.lock();
        let found = errors
            .iter()
            .filter(|(reason, at)| now.duration_since(*at) <= age && names(reason, offset));
        let mut found: Vec<String> = found.map(|(reason, _)| reason.clone()).collect();
        found.sort_unstable();
        found
    }

    /// Returns the newest error that is no older than `age` and names none of the `others`' offsets.
    pub fn latest(&self, others: &[i64], age: Duration, now: Instant) -> Option<String> {
        let errors = self.0.lock();
        let mut newest_first = errors.iter().rev();
        let found = newest_first
            .find(|(reason, at)| now.duration_since(*at) <= age && !others.iter().any(|&other| names(reason, other)));
        found.map(|(reason, _)| reason.clone())
    }
}

/// Whether the text contains this number as a separate word.
fn names(reason: &str, offset: i64) -> bool {
    let mut numbers = reason.split(|c: char| !c.is_ascii_alphanumeric());
    let offset = offset.to_string();
    numbers.any(|number| number == offset)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_found_by_the_offset_in_their_text() {
        let errors = ReadErrors::default();
        let (now, age) = (Instant::now(), Duration::from_secs(10));
        let damaged = |offset| format!("Decompression (codec 0x4) of message at {offset} of 90 bytes failed");
        errors.add(&damaged(117), now);
        errors.add("Fetch from broker 1 failed", now);
        for other in [11, 17, 4, 1170] {
            assert!(errors.at_offset(other, age, now).is_empty(), "{other}");
        }
        assert_eq!(errors.at_offset(117, age, now), [damaged(117)]);
        errors.add(&damaged(120), now);
        let latest = |others: &[i64]| errors.latest(others, age, now).unwrap_or_default();
        assert_eq!(latest(&[117]), damaged(120));
        assert_eq!(latest(&[117, 120]), "Fetch from broker 1 failed");
        let later = now + 2 * age;
        assert_eq!(errors.latest(&[], age, later), None);
        assert!(errors.at_offset(117, age, later).is_empty(), "it did not recur");
        errors.add(&damaged(117), now + age);
        assert_eq!(errors.at_offset(117, age, later).len(), 1);
        errors.add("Another error at 117", now + age);
        let both = errors.at_offset(117, age, later);
        assert_eq!(both.len(), 2, "possibly of another partition");
    }

    #[test]
    fn the_oldest_errors_are_dropped() {
        let errors = ReadErrors::default();
        let now = Instant::now();
        for offset in 0..100 {
            errors.add(&format!("bad message at {offset}"), now);
        }
        assert_eq!(errors.0.lock().len(), MAX_ERRORS);
        assert_eq!(errors.at_offset(99, Duration::ZERO, now).len(), 1);
        assert!(errors.at_offset(0, Duration::ZERO, now).is_empty());
    }
}

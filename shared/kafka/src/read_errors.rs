//! The last errors of a client that say nothing of its connection: why a partition is not read.
//!
//! The binding hands an error's partition to nobody, and its text only to the client's context. The text names the offset
//! where there is one.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use parking_lot::{Mutex, MutexGuard};

use xact_contracts::redaction::redact_text;

/// Different errors that are remembered. Each partition that does not move repeats its own.
const KEPT: usize = 32;

/// What was heard, newest last.
#[derive(Debug, Default)]
pub struct ReadErrors(Mutex<VecDeque<(String, Instant)>>);

impl ReadErrors {
    fn kept(&self) -> MutexGuard<'_, VecDeque<(String, Instant)>> {
        self.0.lock()
    }

    /// Remembers an error.
    pub fn note(&self, reason: &str, now: Instant) {
        let reason = redact_text(reason);
        let mut kept = self.kept();
        kept.retain(|(known, _)| *known != reason);
        kept.push_back((reason, now));
        if kept.len() > KEPT {
            kept.pop_front();
        }
    }

    /// Forgets all errors.
    pub fn clear(&self) {
        self.kept().clear();
    }

    /// The errors that name this offset and are no older than `age`, in an order of their own. Partitions that stand at the
    /// same offset cannot be told apart.
    pub fn about(&self, offset: i64, age: Duration, now: Instant) -> Vec<String> {
        let kept = self.kept();
        let current = kept.iter().filter(|(_, at)| now.duration_since(*at) <= age);
        let mut about: Vec<String> = current
            .filter(|(reason, _)| names(reason, offset))
            .map(|(reason, _)| reason.clone())
            .collect();
        about.sort_unstable();
        about
    }

    /// The newest error that is no older than `age` and names none of these offsets, of which it would tell.
    pub fn latest(&self, others: &[i64], age: Duration, now: Instant) -> Option<String> {
        let kept = self.kept();
        let mut newest_first = kept.iter().rev();
        let found = newest_first
            .find(|(reason, at)| now.duration_since(*at) <= age && !others.iter().any(|&other| names(reason, other)));
        found.map(|(reason, _)| reason.clone())
    }
}

/// Whether the text holds this number by itself.
fn names(reason: &str, offset: i64) -> bool {
    let mut numbers = reason.split(|c: char| !c.is_ascii_alphanumeric());
    let offset = offset.to_string();
    numbers.any(|number| number == offset)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_found_by_the_offset_that_it_names() {
        let errors = ReadErrors::default();
        let now = Instant::now();
        let age = Duration::from_secs(10);
        errors.note("Decompression (codec 0x4) of message at 117 of 90 bytes failed", now);
        errors.note("Fetch from broker 1 failed", now);
        for other in [11, 17, 4, 1170] {
            assert!(errors.about(other, age, now).is_empty(), "{other}");
        }
        assert!(errors.about(117, age, now)[0].starts_with("Decompression"));
        errors.note("Decompression (codec 0x4) of message at 120 of 90 bytes failed", now);
        let latest = |others: &[i64]| errors.latest(others, age, now).unwrap_or_default();
        assert!(latest(&[117]).contains("at 120"));
        assert_eq!(latest(&[117, 120]), "Fetch from broker 1 failed");
        assert_eq!(errors.latest(&[], age, now + 2 * age), None);
        assert!(
            errors.about(117, age, now + 2 * age).is_empty(),
            "it has not come again"
        );
        errors.note(
            "Decompression (codec 0x4) of message at 117 of 90 bytes failed",
            now + age,
        );
        assert_eq!(errors.about(117, age, now + 2 * age).len(), 1);
        errors.note("Another error at 117", now + age);
        assert_eq!(
            errors.about(117, age, now + 2 * age).len(),
            2,
            "of another partition, perhaps"
        );
    }

    #[test]
    fn only_so_many_are_kept() {
        let errors = ReadErrors::default();
        let now = Instant::now();
        for offset in 0..100 {
            errors.note(&format!("bad message at {offset}"), now);
        }
        assert_eq!(errors.kept().len(), KEPT);
        assert_eq!(errors.about(99, Duration::ZERO, now).len(), 1);
        assert!(errors.about(0, Duration::ZERO, now).is_empty());
    }
}

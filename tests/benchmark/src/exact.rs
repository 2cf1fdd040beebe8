//! Compares what a stage has written with what it had to write, id by id.

use std::collections::{HashMap, HashSet};

use xact_testkit::{Result, failed};

/// How often ids are there.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Expected ids that are not there.
    pub(crate) lost: u64,
    /// Expected ids that are there more than once: the surplus.
    pub(crate) twice: u64,
    /// Ids that nothing was sent for.
    pub(crate) unknown: u64,
}

impl Counts {
    pub(crate) fn of(expected: impl IntoIterator<Item = String>, actual: impl IntoIterator<Item = String>) -> Self {
        let mut times: HashMap<String, u64> = HashMap::new();
        for id in actual {
            *times.entry(id).or_default() += 1;
        }
        let expected: HashSet<String> = expected.into_iter().collect();
        let mut counts = Self {
            lost: 0,
            twice: 0,
            unknown: times
                .iter()
                .filter(|(id, _)| !expected.contains(*id))
                .map(|(_, times)| times)
                .sum(),
        };
        for id in &expected {
            match times.get(id) {
                None => counts.lost += 1,
                Some(times) => counts.twice += times - 1,
            }
        }
        counts
    }
}

/// Fails unless each expected id is there exactly once and no other one is.
pub(crate) fn assert_exactly_once(
    what: &str,
    expected: impl IntoIterator<Item = String>,
    actual: impl IntoIterator<Item = String>,
) -> Result<()> {
    match Counts::of(expected, actual) {
        Counts {
            lost: 0,
            twice: 0,
            unknown: 0,
        } => Ok(()),
        Counts { lost, twice, unknown } => Err(failed(
            format!("{what}: not exactly what was sent"),
            format!("{lost} lost, {twice} written again, {unknown} that nothing was sent for"),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn what_is_lost_written_again_or_unknown_is_counted() {
        assert!(assert_exactly_once("x", ids("a b c"), ids("c a b")).is_ok());
        for (actual, lost, twice, unknown) in [
            ("a b", 1, 0, 0),
            ("a b b b c", 0, 2, 0),
            ("a b c d d", 0, 0, 2),
            ("", 3, 0, 0),
        ] {
            assert_eq!(
                Counts::of(ids("a b c"), ids(actual)),
                Counts { lost, twice, unknown },
                "{actual}"
            );
            assert!(assert_exactly_once("x", ids("a b c"), ids(actual)).is_err(), "{actual}");
        }
    }
}

//! What the pipeline's own requests cost in OneLake: one write for a file, two for a commit.

use xact_contracts::onelake_billing::{BillingClass, cu_seconds};

/// Writes of a commit in the steady state: the data file and the log entry. Checkpoints add about 3 %.
const WRITES_PER_COMMIT: u64 = 2;

/// Returns the CU seconds of a file of up to 4 MiB.
pub(crate) fn file_price() -> f64 {
    cu_seconds(BillingClass::Write.unit_price())
}

/// Returns the CU seconds of a commit.
pub(crate) fn commit_price() -> f64 {
    cu_seconds(BillingClass::Write.unit_price() * WRITES_PER_COMMIT)
}

/// Returns the CU seconds that 1,000 attachments cost, if `attachments` took these units of writes and these commits; `None` for
/// no attachments.
#[expect(clippy::cast_precision_loss, reason = "counts of a day")]
pub(crate) fn price_of_thousand(attachments: usize, write_units: u64, commits: usize) -> Option<f64> {
    let all = file_price() * write_units as f64 + commit_price() * commits as f64;
    (attachments > 0).then(|| all / attachments as f64 * 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thousand_attachments_cost_their_files_and_commits() {
        assert_eq!(price_of_thousand(0, 0, 7), None);
        for (attachments, units, commits, expected) in [
            (1000, 1000, 0, 162.6),
            (1000, 3000, 0, 487.8),
            (10, 10, 5, 325.2),
            (2000, 2000, 100, 178.86),
        ] {
            let price = price_of_thousand(attachments, units, commits).unwrap();
            assert!((price - expected).abs() < 1e-6, "{price} {expected}");
        }
    }
}

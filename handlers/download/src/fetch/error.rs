//! Why a file was not fetched.

use std::time::Duration;

use xact_cache::CacheError;
use xact_contracts::category::Category;
use xact_contracts::messages::Problem;

/// Why a file was not fetched.
#[derive(Debug)]
pub(crate) enum FetchError {
    /// The server or the file is the reason.
    Failed {
        problem: Problem,
        retry_after: Option<Duration>,
    },
    /// The cache volume is the reason.
    Cache(CacheError),
}

impl From<Problem> for FetchError {
    fn from(problem: Problem) -> Self {
        Self::Failed {
            problem,
            retry_after: None,
        }
    }
}

impl From<CacheError> for FetchError {
    fn from(error: CacheError) -> Self {
        Self::Cache(error)
    }
}

/// Returns the problem of a response with status 200.
pub(super) fn problem_of_200(category: Category, text: impl AsRef<str>) -> Problem {
    Problem::new(category, text).with_status(200)
}

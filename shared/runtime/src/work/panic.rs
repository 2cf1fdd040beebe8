//! Panics of a handler. One becomes a dead letter and does not end the process.

use std::any::Any;

use xact_contracts::category::Category;
use xact_contracts::messages::Problem;

/// Returns the problem for a panic. The process's panic hook has already logged it with its location.
pub(super) fn problem_of_panic(panic: &(dyn Any + Send)) -> Problem {
    let text = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no text");
    Problem::new(
        Category::Permanent,
        format!("the handler panicked on this message: {text}"),
    )
}

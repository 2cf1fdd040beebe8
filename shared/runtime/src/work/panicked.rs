//! What a panic in a handler says: it becomes one dead letter, not a dead process.

use std::any::Any;

use xact_contracts::category::Category;
use xact_contracts::messages::Problem;

/// The problem that a panic is. The log has it already, with its place, from the process's panic hook.
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

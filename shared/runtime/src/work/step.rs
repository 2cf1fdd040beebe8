//! What a panic in a handler says: it becomes one dead letter, not a dead process.

use contracts::category::Category;
use contracts::messages::Problem;
use std::any::Any;

/// The problem that a panic is.
pub(super) fn problem_of_panic(panic: &(dyn Any + Send)) -> Problem {
    let text = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no text");
    tracing::error!(
        panic = contracts::redaction::redact_text(text),
        "a handler panicked on a message"
    );
    Problem::new(
        Category::Permanent,
        format!("the handler panicked on this message: {text}"),
    )
}

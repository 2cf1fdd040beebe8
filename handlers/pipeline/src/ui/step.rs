//! A step of an event as a line of text, for the terminal and the console.

use super::or_dash;
use super::text::{cell, visible};
use xact_contracts::category::Category;
use xact_contracts::messages::SourceRecord;
use xact_operations::trace::{Step, StepKind};

/// Returns the time of a step, what it is, and its details. Texts from outside may have control characters.
pub(crate) fn step_text(step: &Step) -> String {
    let at = step.at.map(|at| format!("{at:.3}"));
    let attempt = step.attempt.map(|attempt| format!(" {attempt}")).unwrap_or_default();
    let what = match (step.step, &step.row) {
        (StepKind::Row, Some(row)) => {
            format!(
                "row in {}, {}, in version {}",
                row.table, row.event_date, row.table_version
            )
        }
        (StepKind::Row, None) => "row".to_owned(),
        (StepKind::Task, _) => format!("task for attempt{attempt}"),
        (StepKind::AttemptFailed, _) => format!("attempt{attempt} failed"),
        (StepKind::Retry, _) => "waits for a retry".to_owned(),
        (StepKind::Cached, _) => "downloaded into the cache".to_owned(),
        (StepKind::Uploaded, _) => "uploaded".to_owned(),
        (StepKind::Failed, _) => format!("attempt{attempt} failed, the last one"),
        (StepKind::DeadLetter, _) => "dead letter".to_owned(),
        (StepKind::Replayed, _) => "replayed".to_owned(),
        (StepKind::Resolved, _) => "resolved".to_owned(),
    };
    let parts = [
        step.dead_letter.clone(),
        step.replay.map(|replay| format!("replay {replay}")),
        step.due_at.map(|at| format!("due {at:.3}")),
        step.bytes.map(|bytes| format!("{bytes} bytes")),
        step.http_status.map(|status| format!("HTTP {status}")),
        step.error_category.map(Category::as_str).map(str::to_owned),
        step.reason.as_deref().map(cell),
        step.record.as_ref().filter(|_| step.dead_letter.is_none()).map(place),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    let details = if parts.is_empty() {
        String::new()
    } else {
        format!(": {}", parts.join(", "))
    };
    format!("{:<26}{what}{details}", or_dash(at))
}

/// Returns where a record is.
pub(crate) fn place(source: &SourceRecord) -> String {
    format!("{}[{}] offset {}", source.topic, source.partition, source.offset)
}

/// Returns text on one line, with control characters escaped.
pub(crate) fn one_line(text: &str) -> String {
    visible(text).replace(['\n', '\t'], " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_one_line_with_its_time_and_its_reason() {
        let step = |kind| Step::at(kind, "2025-01-01T00:00:00Z".parse().ok());
        let failed = Step {
            attempt: Some(2),
            http_status: Some(503),
            error_category: Some(Category::Transient),
            reason: Some("503 \u{1b}[2J\nService Unavailable".to_owned()),
            ..step(StepKind::AttemptFailed)
        };
        let text = one_line(&step_text(&failed));
        let expected =
            "2025-01-01T00:00:00.000Z  attempt 2 failed: HTTP 503, transient, 503 \\u{1b}[2J Service Unavailable";
        assert_eq!(text, expected);
        assert_eq!(
            step_text(&step(StepKind::Resolved)),
            "2025-01-01T00:00:00.000Z  resolved"
        );
    }
}

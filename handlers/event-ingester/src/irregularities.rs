//! Reports irregular events: with URLs outside the list of attachments, an invalid timestamp, or repeated names.
//!
//! Each such event is counted. Each new shape is logged once, because a source that writes one such event usually writes all
//! its events like that. A shape is a JSON path, or the form of a timestamp; it contains no URL and no value.

use std::collections::HashSet;

use parking_lot::Mutex;

use xact_contracts::messages::Event;
use xact_contracts::url_paths::UrlPaths;
use xact_telemetry::metrics::{DOMAIN, metrics};

/// Most shapes that are logged: a source may use a new name in each event.
const MAX_SHAPES: usize = 1_000;

/// Counts irregular events, and logs each shape once.
pub(crate) struct IrregularityReport {
    ignored: UrlPaths,
    logged: Mutex<HashSet<String>>,
}

impl IrregularityReport {
    pub(crate) fn new(ignored: UrlPaths) -> Self {
        Self {
            ignored,
            logged: Mutex::default(),
        }
    }

    /// Counts an event's irregularities and logs those whose shape is new.
    pub(crate) fn record(&self, event: &Event) {
        let found = &event.irregularities;
        let mut unlisted = self.ignored.others(&found.unlisted_urls).peekable();
        if unlisted.peek().is_some() {
            count("unlisted_url");
        }
        for path in unlisted {
            if self.is_new("url", path) {
                tracing::warn!(
                    path,
                    event_type = event.event_type,
                    "events have URLs outside their list of attachments, which are not downloaded: \
                     the source must put them into `attachments`, or add the path to IGNORED_URL_PATHS"
                );
            }
        }
        if let Some(refused) = &found.timestamp {
            count("refused_timestamp");
            if self.is_new("timestamp", &form(&refused.written)) {
                tracing::warn!(
                    written = refused.written,
                    reason = %refused.reason,
                    "events have an invalid timestamp: that of their record is used"
                );
            }
        }
        if !found.repeated_names.is_empty() {
            count("repeated_name");
        }
        for path in &found.repeated_names {
            if self.is_new("name", path) {
                tracing::warn!(path, "events have a name twice in one object: the last value is used");
            }
        }
    }

    fn is_new(&self, kind: &str, shape: &str) -> bool {
        let mut logged = self.logged.lock();
        if logged.len() >= MAX_SHAPES {
            return false;
        }
        let is_new = logged.insert(format!("{kind} {shape}"));
        if logged.len() == MAX_SHAPES {
            tracing::warn!(
                MAX_SHAPES,
                "the limit of logged shapes of irregular events is reached: further ones are only counted"
            );
        }
        is_new
    }
}

fn count(kind: &str) {
    metrics().event_irregularities(DOMAIN, kind).inc();
}

/// Returns a timestamp with each digit replaced by `9`: its form.
fn form(written: &str) -> String {
    let digit_as_nine = |c: char| if c.is_ascii_digit() { '9' } else { c };
    written.chars().take(60).map(digit_as_nine).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn event(rest: &Value) -> Event {
        let mut value = json!({"trace_id": "t", "type": "x"});
        value.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
        Event::from_value(&value).unwrap()
    }

    fn logged(report: &IrregularityReport) -> Vec<String> {
        let mut logged: Vec<_> = report.logged.lock().iter().cloned().collect();
        logged.sort();
        logged
    }

    #[test]
    fn each_shape_is_logged_once_and_ignored_paths_never() {
        let report = IrregularityReport::new(UrlPaths::parse("$.payload.links*").unwrap());
        for number in 0..3 {
            report.record(&event(&json!({"timestamp": format!("soon {number}"),
                "payload": {"docs": [format!("https://h/{number}")], "links": {"self": "https://h/s"}}})));
        }
        report.record(&event(&json!({"payload": {"links": {"self": "https://h/s"}}})));
        assert_eq!(logged(&report), ["timestamp \"soon 9\"", "url $.payload.docs[*]"]);
    }

    #[test]
    fn the_number_of_shapes_is_bounded() {
        let report = IrregularityReport::new(UrlPaths::default());
        for number in 0..2 * MAX_SHAPES {
            report.record(&event(&json!({format!("f{number}"): "https://h/a"})));
        }
        assert_eq!(logged(&report).len(), MAX_SHAPES);
    }
}

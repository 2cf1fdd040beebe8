//! Tells of events that hold more than the pipeline reads of them: URLs outside the list of attachments, a timestamp that
//! is not taken, names that are there twice.
//!
//! Each such event is counted. The log has one line for each new shape, since a source that writes one such event mostly
//! writes all of them so. A shape is a JSON path, or the form of a timestamp; it holds no URL and no value.

use std::collections::HashSet;

use parking_lot::Mutex;

use xact_contracts::messages::Event;
use xact_contracts::url_paths::UrlPaths;
use xact_telemetry::metrics::{DOMAIN, metrics};

/// Limits the shapes that are logged: a source may use a new name in each event.
const MAX_SHAPES: usize = 1_000;

/// Counts irregular events, and logs each shape once.
pub(crate) struct Irregular {
    ignored: UrlPaths,
    told: Mutex<HashSet<String>>,
}

impl Irregular {
    pub(crate) fn new(ignored: UrlPaths) -> Self {
        Self {
            ignored,
            told: Mutex::default(),
        }
    }

    /// Counts an event's irregularities, and tells those whose shape is new.
    pub(crate) fn note(&self, event: &Event) {
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
                    "events hold URLs outside their list of attachments, and nothing is downloaded from there: \
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
                    "the timestamp of events is not taken: the time of their record counts"
                );
            }
        }
        if !found.repeated_names.is_empty() {
            count("repeated_name");
        }
        for path in &found.repeated_names {
            if self.is_new("name", path) {
                tracing::warn!(path, "events hold a name twice in one object: the last value counts");
            }
        }
    }

    fn is_new(&self, kind: &str, shape: &str) -> bool {
        let mut told = self.told.lock();
        if told.len() >= MAX_SHAPES {
            return false;
        }
        let is_new = told.insert(format!("{kind} {shape}"));
        if told.len() == MAX_SHAPES {
            tracing::warn!(
                MAX_SHAPES,
                "so many shapes of irregular events were seen: further ones are counted only"
            );
        }
        is_new
    }
}

fn count(kind: &str) {
    metrics().event_irregularities(DOMAIN, kind).inc();
}

/// A timestamp with each digit as `9`: what two of one source have in common.
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

    fn told(irregular: &Irregular) -> Vec<String> {
        let mut told: Vec<_> = irregular.told.lock().iter().cloned().collect();
        told.sort();
        told
    }

    #[test]
    fn each_shape_is_told_once_and_ignored_paths_never() {
        let irregular = Irregular::new(UrlPaths::parse("$.payload.links*").unwrap());
        for number in 0..3 {
            irregular.note(&event(&json!({"timestamp": format!("soon {number}"),
                "payload": {"docs": [format!("https://h/{number}")], "links": {"self": "https://h/s"}}})));
        }
        irregular.note(&event(&json!({"payload": {"links": {"self": "https://h/s"}}})));
        assert_eq!(told(&irregular), ["timestamp \"soon 9\"", "url $.payload.docs[*]"]);
    }

    #[test]
    fn made_up_names_do_not_fill_the_memory() {
        let irregular = Irregular::new(UrlPaths::default());
        for number in 0..2 * MAX_SHAPES {
            irregular.note(&event(&json!({format!("f{number}"): "https://h/a"})));
        }
        assert_eq!(told(&irregular).len(), MAX_SHAPES);
    }
}

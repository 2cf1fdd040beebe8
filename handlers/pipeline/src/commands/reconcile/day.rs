//! All that is known of one date, and what it amounts to. Pure: it is filled from topics and tables by its neighbours.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap, HashSet};

use jiff::Timestamp;
use uuid::Uuid;

use xact_contracts::ids;
use xact_contracts::messages::{Event, MAX_ATTACHMENTS, Message};
use xact_contracts::redaction::redact_url;
use xact_contracts::url_paths::UrlPaths;

/// An attachment that an event names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wanted {
    /// Redacted.
    pub(super) url: Box<str>,
    /// Known as long as the raw topic has the event: the id comes from the whole URL.
    pub(super) media_id: Option<Uuid>,
    /// The ingester has finished with the event.
    pub(super) is_expanded: bool,
}

/// An event of the time in question.
#[derive(Debug, Clone)]
pub(super) struct Named {
    pub(super) trace_id: Box<str>,
    pub(super) at: Timestamp,
    pub(super) attachments: Vec<Wanted>,
    /// The writer has finished with it, or its row is where we know it from.
    pub(super) is_written: bool,
    /// It has no timestamp of its own: its row may have the date of an earlier record.
    pub(super) is_undated: bool,
}

/// Something that is nowhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Missing {
    pub(super) trace_id: String,
    /// `None`: unknown, as only its attachments' rows tell of it.
    pub(super) at: Option<Timestamp>,
    /// The attachment; `None`: the event's own row.
    pub(super) url: Option<String>,
    pub(super) media_id: Option<Uuid>,
}

/// A key that is there more often than it may be.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Duplicate {
    /// One table; two for an attachment that has ended twice.
    pub(super) table: &'static str,
    pub(super) key: String,
    pub(super) rows: u32,
}

/// What a date, or all dates, amount to.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) events: u64,
    /// Of these, known from the table alone.
    pub(super) events_by_table: u64,
    pub(super) events_waiting: u64,
    pub(super) attachments: u64,
    pub(super) completed: u64,
    pub(super) failed: u64,
    /// Still in a topic, by what the topic is for.
    pub(super) waiting: BTreeMap<&'static str, u64>,
    pub(super) missing: Vec<Missing>,
    pub(super) duplicates: Vec<Duplicate>,
    /// Events that could not be read for attachments: dead letters hold them.
    pub(super) unreadable: u64,
    /// Events that hold URLs outside their list of attachments.
    pub(super) events_with_unlisted_urls: u64,
    /// Of these, by the JSON path of the URL.
    pub(super) unlisted_urls: BTreeMap<String, u64>,
}

impl Tally {
    /// Nothing is missing, nothing is there twice, and no event holds what may be an attachment outside of its list.
    pub(super) fn is_well(&self) -> bool {
        self.missing.is_empty() && self.duplicates.is_empty() && self.unlisted_urls.is_empty()
    }

    pub(super) fn add(&mut self, other: Self) {
        self.events += other.events;
        self.events_by_table += other.events_by_table;
        self.events_waiting += other.events_waiting;
        self.attachments += other.attachments;
        self.completed += other.completed;
        self.failed += other.failed;
        for (place, count) in other.waiting {
            *self.waiting.entry(place).or_default() += count;
        }
        self.missing.extend(other.missing);
        self.duplicates.extend(other.duplicates);
        self.unreadable += other.unreadable;
        self.events_with_unlisted_urls += other.events_with_unlisted_urls;
        for (path, count) in other.unlisted_urls {
            *self.unlisted_urls.entry(path).or_default() += count;
        }
    }
}

/// Everything about one date.
#[derive(Debug, Clone, Default)]
pub(super) struct Day {
    pub(super) events: HashMap<Uuid, Named>,
    /// Events of the date on the raw topic, also those outside of the time in question.
    pub(super) on_raw: HashSet<Uuid>,
    /// Events that were refused as a whole: a dead letter holds them.
    pub(super) dead_events: HashSet<Uuid>,
    /// Attachments that a record holds which its stage has not finished.
    pub(super) waiting: HashMap<Uuid, &'static str>,
    pub(super) event_rows: HashMap<Uuid, u32>,
    pub(super) completed: HashMap<Uuid, u32>,
    pub(super) failed: HashMap<(Uuid, i32), u32>,
    /// Attachments by event and redacted URL, of events that are known from the table alone.
    found: HashMap<(Uuid, Box<str>), HashSet<Uuid>>,
    /// Events of which only attachments' rows tell.
    pub(super) orphans: HashMap<Uuid, Box<str>>,
    /// Records of the time in question that are not events.
    pub(super) unreadable: u64,
    /// Events with so many attachments that the ingester refuses them as a whole.
    unexpanded: HashSet<Uuid>,
    /// Paths of URLs outside the list of attachments, of events that hold any.
    unlisted_urls: HashMap<Uuid, Vec<String>>,
    /// Paths that are not counted.
    pub(super) ignored: UrlPaths,
}

/// `xact_events` and the others, as they are named in reports.
pub(super) const TABLES: [&str; 4] = [
    "xact_events",
    "xact_attachments",
    "xact_attachments_failed",
    "xact_attachments and xact_attachments_failed",
];

impl Day {
    /// An event on the raw topic. It may be there more than once, and once with more attachments.
    pub(super) fn raw_event(&mut self, event: &Event, at: Timestamp, is_expanded: bool, is_written: bool) {
        self.note_unread(event);
        // The ingester refuses such a mass as a whole: a dead letter, and no rows.
        let names = if event.attachments.len() > MAX_ATTACHMENTS {
            &[][..]
        } else {
            &event.attachments
        };
        let attachments = names.iter().map(|url| Wanted {
            url: redact_url(url).into(),
            media_id: Some(ids::media_id(&event.trace_id, url)),
            is_expanded,
        });
        match self.events.entry(ids::event_id(&event.trace_id)) {
            Entry::Vacant(entry) => {
                entry.insert(Named {
                    trace_id: event.trace_id.as_str().into(),
                    at,
                    attachments: attachments.collect(),
                    is_written,
                    is_undated: event.timestamp.is_none(),
                });
            }
            Entry::Occupied(mut entry) => {
                let named = entry.get_mut();
                named.is_written |= is_written;
                for wanted in attachments {
                    match named
                        .attachments
                        .iter_mut()
                        .find(|known| known.media_id == wanted.media_id)
                    {
                        Some(known) => known.is_expanded |= wanted.is_expanded,
                        None => named.attachments.push(wanted),
                    }
                }
            }
        }
    }

    /// An event that only its row tells of: `attachments` is the column, `raw_json` the event without signatures.
    pub(super) fn row_event(&mut self, trace_id: &str, at: Timestamp, attachments: &str, raw_json: &str) {
        let event = Event::decode(raw_json.as_bytes()).ok();
        if let Some(event) = &event {
            self.note_unread(event);
        }
        let names = listed(attachments, event.as_ref());
        let names = if names.len() > MAX_ATTACHMENTS {
            Vec::new()
        } else {
            names
        };
        let wanted = names.into_iter().map(|url| Wanted {
            url: url.into(),
            media_id: None,
            is_expanded: true,
        });
        let named = Named {
            trace_id: trace_id.into(),
            at,
            attachments: wanted.collect(),
            is_written: true,
            is_undated: false,
        };
        self.events.insert(ids::event_id(trace_id), named);
    }

    /// Notes what of an event is not read for attachments.
    fn note_unread(&mut self, event: &Event) {
        let id = ids::event_id(&event.trace_id);
        if event.attachments.len() > MAX_ATTACHMENTS {
            self.unexpanded.insert(id);
        }
        let paths: Vec<String> = self
            .ignored
            .others(&event.irregularities.unlisted_urls)
            .map(str::to_owned)
            .collect();
        if !paths.is_empty() {
            self.unlisted_urls.insert(id, paths);
        }
    }

    /// Events without a timestamp of their own that have no row on this date.
    pub(super) fn undated_without_row(&self) -> impl Iterator<Item = Uuid> {
        let events = self.events.iter();
        let without = events.filter(|(id, named)| named.is_undated && !self.event_rows.contains_key(*id));
        without.map(|(id, _)| *id)
    }

    /// An attachment that is somewhere: a row or a record.
    pub(super) fn seen(&mut self, trace_id: &str, media_id: Uuid, url: &str) {
        let event = ids::event_id(trace_id);
        let is_by_table = self.events.contains_key(&event) && !self.on_raw.contains(&event);
        if is_by_table {
            self.found
                .entry((event, redact_url(url).into()))
                .or_default()
                .insert(media_id);
        }
        if !self.event_rows.contains_key(&event) && !self.on_raw.contains(&event) {
            self.orphans.entry(event).or_insert_with(|| trace_id.into());
        }
    }

    /// Compares what must be with what is.
    pub(super) fn tally(&self) -> Tally {
        let mut tally = Tally {
            unreadable: self.unreadable + self.unexpanded.len() as u64,
            ..Tally::default()
        };
        for (id, named) in &self.events {
            self.tally_event(id, named, &mut tally);
        }
        for (event, trace_id) in &self.orphans {
            if !self.event_rows.contains_key(event) {
                tally.missing.push(Missing {
                    trace_id: trace_id.to_string(),
                    at: None,
                    url: None,
                    media_id: None,
                });
            }
        }
        let failed_once: HashSet<Uuid> = self.failed.keys().map(|(id, _)| *id).collect();
        let mut twice = |table: &'static str, key: String, rows: u32| {
            if rows > 1 {
                tally.duplicates.push(Duplicate { table, key, rows });
            }
        };
        for (id, rows) in &self.event_rows {
            twice(TABLES[0], id.to_string(), *rows);
        }
        for (id, rows) in &self.completed {
            twice(TABLES[1], id.to_string(), *rows);
            // Its failures are removed before its result is finished with.
            if failed_once.contains(id) && !self.waiting.contains_key(id) {
                twice(TABLES[3], id.to_string(), 2);
            }
        }
        for ((id, replay), rows) in &self.failed {
            twice(TABLES[2], format!("{id}, replay_count {replay}"), *rows);
        }
        tally.duplicates.sort();
        tally
            .missing
            .sort_by(|a, b| (a.at, &a.trace_id, &a.url).cmp(&(b.at, &b.trace_id, &b.url)));
        tally
    }

    fn tally_event(&self, id: &Uuid, named: &Named, tally: &mut Tally) {
        tally.events += 1;
        tally.events_by_table += u64::from(!self.on_raw.contains(id));
        if let Some(paths) = self.unlisted_urls.get(id) {
            tally.events_with_unlisted_urls += 1;
            for path in paths {
                *tally.unlisted_urls.entry(path.clone()).or_default() += 1;
            }
        }
        let missing = |wanted: Option<&Wanted>| Missing {
            trace_id: named.trace_id.to_string(),
            at: Some(named.at),
            url: wanted.map(|wanted| wanted.url.to_string()),
            media_id: wanted.and_then(|wanted| wanted.media_id),
        };
        if !self.event_rows.contains_key(id) {
            if named.is_written {
                tally.missing.push(missing(None));
            } else {
                tally.events_waiting += 1;
            }
        }
        let mut unclaimed: HashMap<&str, Vec<Uuid>> = HashMap::new();
        for wanted in &named.attachments {
            tally.attachments += 1;
            let media_id = wanted.media_id.or_else(|| {
                // Attachments whose URLs differ in the signature alone look the same: each takes one of those found.
                let found = unclaimed.entry(&wanted.url).or_insert_with(|| {
                    let found = self.found.get(&(*id, wanted.url.clone()));
                    found.map(|ids| ids.iter().copied().collect()).unwrap_or_default()
                });
                found.pop()
            });
            match media_id.and_then(|media_id| self.place_of(media_id)) {
                Some(Place::Completed) => tally.completed += 1,
                Some(Place::Failed) => tally.failed += 1,
                Some(Place::Waits(place)) => *tally.waiting.entry(place).or_default() += 1,
                None if !wanted.is_expanded => *tally.waiting.entry("raw").or_default() += 1,
                None if self.dead_events.contains(id) => *tally.waiting.entry("dlq").or_default() += 1,
                None => tally.missing.push(missing(Some(wanted))),
            }
        }
    }

    fn place_of(&self, media_id: Uuid) -> Option<Place> {
        if self.completed.contains_key(&media_id) {
            return Some(Place::Completed);
        }
        // A replayed one has its failure still, and waits.
        if let Some(place) = self.waiting.get(&media_id) {
            return Some(Place::Waits(place));
        }
        self.has_failed(media_id).then_some(Place::Failed)
    }

    fn has_failed(&self, media_id: Uuid) -> bool {
        // Replays are few: each of their counts is asked for until one is there.
        (0..=MAX_REPLAYS).any(|replay| self.failed.contains_key(&(media_id, replay)))
    }
}

/// Highest replay count that is looked for.
const MAX_REPLAYS: i32 = 100;

/// Where an attachment is.
enum Place {
    Completed,
    Failed,
    Waits(&'static str),
}

/// The attachments of a row: its column joins redacted URLs by commas, which URLs may hold as well, so the event's own
/// list says where each begins. The column has one entry per attachment, also of those that look the same redacted.
fn listed(column: &str, event: Option<&Event>) -> Vec<String> {
    let names: Vec<String> = event
        .map(|event| event.attachments.iter().map(|url| redact_url(url)).collect())
        .unwrap_or_default();
    let mut list = Vec::new();
    let mut rest = column;
    while !rest.is_empty() {
        let fits = |name: &&String| {
            let behind = rest.strip_prefix(name.as_str());
            !name.is_empty() && behind.is_some_and(|behind| behind.is_empty() || behind.starts_with(','))
        };
        let length = names.iter().filter(fits).map(String::len).max();
        // Redaction of the whole event and of one URL may differ in odd cases: then a comma ends it.
        let length = length.unwrap_or_else(|| rest.find(',').unwrap_or(rest.len()));
        list.push(rest[..length].to_owned());
        rest = rest[length..].strip_prefix(',').unwrap_or_default();
    }
    list
}

#[cfg(test)]
mod tests {
    use super::*;
    use xact_contracts::messages::Message;

    fn at() -> Timestamp {
        "2024-12-31T12:00:00Z".parse().unwrap()
    }

    fn event(trace_id: &str, urls: &[&str]) -> Event {
        let text = serde_json::json!({"trace_id": trace_id, "event_type": "x", "attachments": urls});
        Event::decode(text.to_string().as_bytes()).unwrap()
    }

    const A: &str = "https://h/a.pdf?sig=1";
    const B: &str = "https://h/a.pdf?sig=2";

    fn id(url: &str) -> Uuid {
        ids::media_id("t", url)
    }

    /// Event `t` with A and B, read and written, its row there.
    fn day() -> Day {
        let mut day = Day::default();
        day.on_raw.insert(ids::event_id("t"));
        day.raw_event(&event("t", &[A, B]), at(), true, true);
        day.event_rows.insert(ids::event_id("t"), 1);
        day
    }

    #[test]
    fn one_place_each_is_well_and_none_is_missing_by_its_own_id() {
        let mut day = day();
        day.completed.insert(id(A), 1);
        assert_eq!(day.tally().missing[0].media_id, Some(id(B)));
        day.waiting.insert(id(B), "cached");
        let tally = day.tally();
        assert!(tally.is_well(), "{tally:?}");
        assert_eq!((tally.completed, tally.waiting["cached"]), (1, 1));
        day.waiting.clear();
        day.failed.insert((id(B), 2), 1);
        let tally = day.tally();
        assert!(tally.is_well() && tally.failed == 1, "{tally:?}");
    }

    #[test]
    fn what_the_stages_have_not_read_yet_waits() {
        let mut day = Day::default();
        day.on_raw.insert(ids::event_id("t"));
        day.raw_event(&event("t", &[A, B]), at(), false, false);
        let tally = day.tally();
        assert!(tally.is_well());
        assert_eq!((tally.events_waiting, tally.waiting["raw"]), (1, 2));
        // The same event again, and this record is finished with.
        day.raw_event(&event("t", &[A]), at(), true, true);
        let missing = day.tally().missing;
        assert_eq!(missing.len(), 2, "{missing:?}");
        assert!(missing.iter().any(|missing| missing.url.is_none()), "the event's row");
        assert!(missing.iter().any(|missing| missing.media_id == Some(id(A))));
        day.dead_events.insert(ids::event_id("t"));
        assert_eq!(day.tally().missing.len(), 1, "a dead letter holds its attachments");
    }

    #[test]
    fn keys_are_counted_in_each_table_and_over_both() {
        let mut day = day();
        day.completed.extend([(id(A), 2), (id(B), 1)]);
        day.failed
            .extend([((id(B), 0), 1), ((Uuid::nil(), 1), 3), ((Uuid::nil(), 0), 1)]);
        day.event_rows.insert(ids::event_id("t"), 2);
        let found: Vec<(&str, u32)> = day
            .tally()
            .duplicates
            .iter()
            .map(|twice| (twice.table, twice.rows))
            .collect();
        assert_eq!(found, [(TABLES[1], 2), (TABLES[3], 2), (TABLES[2], 3), (TABLES[0], 2)]);
        // Its failure goes before its result is finished with.
        day.waiting.insert(id(B), "results");
        assert!(day.tally().duplicates.iter().all(|twice| twice.table != TABLES[3]));
    }

    #[test]
    fn without_the_raw_topic_attachments_are_matched_by_url_and_counted() {
        let mut day = Day::default();
        day.event_rows.insert(ids::event_id("t"), 1);
        let raw = r#"{"trace_id":"t","event_type":"x","attachments":["https://h/a.pdf","https://h/a.pdf"]}"#;
        day.row_event("t", at(), "https://h/a.pdf,https://h/a.pdf", raw);
        day.completed.insert(id(A), 1);
        day.seen("t", id(A), "https://h/a.pdf");
        let tally = day.tally();
        assert_eq!((tally.completed, tally.missing.len(), tally.events_by_table), (1, 1, 1));
        assert_eq!(tally.missing[0].url.as_deref(), Some("https://h/a.pdf"));
        day.failed.insert((id(B), 0), 1);
        day.seen("t", id(B), "https://h/a.pdf");
        assert!(day.tally().is_well());
    }

    #[test]
    fn rows_of_an_event_that_nobody_knows_tell_that_its_row_is_missing() {
        let mut day = Day::default();
        day.completed.insert(id(A), 1);
        day.seen("t", id(A), "https://h/a.pdf");
        let missing = day.tally().missing;
        assert_eq!((missing.len(), missing[0].trace_id.as_str()), (1, "t"));
    }

    #[test]
    fn urls_outside_the_list_are_not_well_unless_their_path_is_ignored() {
        let text = r#"{"trace_id":"t","event_type":"x","payload":{"docs":["https://h/a.pdf"],"self":"https://h/t"}}"#;
        for (ignored, paths) in [("", 2), ("$.payload.self", 1), ("$.payload.*", 0)] {
            for is_by_table in [false, true] {
                let mut day = Day {
                    ignored: UrlPaths::parse(ignored).unwrap(),
                    ..Day::default()
                };
                day.event_rows.insert(ids::event_id("t"), 1);
                if is_by_table {
                    day.row_event("t", at(), "", text);
                } else {
                    day.on_raw.insert(ids::event_id("t"));
                    day.raw_event(&Event::decode(text.as_bytes()).unwrap(), at(), true, true);
                }
                let tally = day.tally();
                assert_eq!(tally.unlisted_urls.len(), paths, "{ignored}");
                assert_eq!(
                    (tally.is_well(), tally.events_with_unlisted_urls),
                    (paths == 0, u64::from(paths > 0))
                );
            }
        }
    }

    #[test]
    fn commas_in_urls_do_not_part_them() {
        let raw =
            r#"{"trace_id":"t","event_type":"x","attachments":["https://h/a,b.pdf?sig=[redacted]","https://h/a", 5]}"#;
        let event = Event::decode(raw.as_bytes()).unwrap();
        let column = "https://h/a,b.pdf,https://h/a,5";
        assert_eq!(listed(column, Some(&event)), ["https://h/a,b.pdf", "https://h/a", "5"]);
        assert_eq!(listed("https://h/a,https://h/b", None), ["https://h/a", "https://h/b"]);
        assert_eq!(listed("", Some(&event)), Vec::<String>::new());
    }
}

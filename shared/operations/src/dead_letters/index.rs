//! The entries of the dead-letter topic in memory: a later reading reads only what was written since.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::ops::ControlFlow;

use jiff::Timestamp;

use super::entry::{Entry, EntryId, Mark};
use super::list::{ListQuery, Page};
use super::reason::reason_pattern;
use super::summary::{EntryState, EntrySummary};
use crate::error::OperationError;
use xact_config::Settings;
use xact_contracts::category::Category;
use xact_kafka::admin::{Span, TopicReader, TopicRecord};

/// Most entries that are held, at most some kilobytes each. Of more, the oldest are left out.
const MAX_ENTRIES: usize = 200_000;
/// Most characters of a text that is held.
const MAX_TEXT_CHARS: usize = 1000;
/// Number of unused kinds above which they are removed.
const MAX_UNUSED_KINDS: usize = 1000;

/// The entries without their messages.
#[derive(Default)]
pub struct DeadLetterIndex {
    partitions: BTreeMap<i32, Partition>,
    /// What entries have in common.
    kinds: Vec<Kind>,
    /// The position of each kind in `kinds`.
    kind_numbers: HashMap<Kind, usize>,
    /// The number of entries.
    held: usize,
}

#[derive(Default)]
struct Partition {
    /// The offset that the next reading begins at.
    next: i64,
    /// By offset.
    entries: VecDeque<Indexed>,
    /// Entries before this offset were left out.
    left_below: i64,
    /// The first offset that is still available.
    low: i64,
}

struct Indexed {
    summary: EntrySummary,
    /// The position of its kind.
    kind: usize,
}

/// What entries have in common that fail alike.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Kind {
    pattern: String,
    stage: Option<String>,
    category: Option<Category>,
}

/// What a list shows.
#[derive(Debug)]
pub struct IndexPage {
    /// The newest entries, and the numbers of all.
    pub page: Page,
    /// All included entries by like reasons, the most frequent first.
    pub groups: Vec<ReasonGroup>,
    /// Whether the topic has older entries, which the index does not hold.
    pub has_older: bool,
}

/// Entries of one stage and category with like reasons.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReasonGroup {
    /// What the reasons have in common.
    pub pattern: String,
    /// The stage that gave up.
    pub stage: Option<String>,
    /// The error category.
    pub category: Option<Category>,
    /// The number of entries.
    pub count: u64,
    /// When the first of them failed.
    pub first: Option<Timestamp>,
    /// When the last of them failed.
    pub last: Option<Timestamp>,
}

impl DeadLetterIndex {
    /// Reads what was written since the last call. Blocks.
    ///
    /// # Errors
    /// When the topic cannot be read to its end; what was read is kept, and the next call continues.
    pub fn refresh(&mut self, settings: &Settings) -> Result<(), OperationError> {
        let mut reader = TopicReader::open(&settings.internal_cluster, &settings.topics.dlq)?;
        for (partition, span) in reader.spans().clone() {
            reader.begin_at(partition, self.begin(partition, span));
        }
        reader.read(|record| {
            self.add(record);
            ControlFlow::Continue(())
        })?;
        for (partition, span) in reader.spans() {
            self.partitions.entry(*partition).or_default().next = span.high;
        }
        Ok(())
    }

    /// Removes what the topic no longer has, and returns the first offset to read.
    fn begin(&mut self, partition: i32, span: Span) -> i64 {
        let held = self.partitions.entry(partition).or_default();
        let before = held.entries.len();
        if span.high < held.next {
            // The topic was made again.
            *held = Partition::default();
        }
        held.low = span.low;
        while held
            .entries
            .front()
            .is_some_and(|entry| entry.summary.id.offset < span.low)
        {
            held.entries.pop_front();
        }
        self.held -= before - held.entries.len();
        held.next.max(span.low)
    }

    fn add(&mut self, record: TopicRecord) {
        let id = EntryId::of(&record);
        if let Some((settled, mark)) = Mark::of_record(&record) {
            if let Some(entry) = self.find(settled) {
                entry.settle(Some(&mark));
            }
        } else if let Some(entry) = Entry::of_record(record, None) {
            let summary = shortened(EntrySummary::of(&entry));
            let kind = self.kind(&summary);
            let held = self.partitions.entry(id.partition).or_default();
            held.entries.push_back(Indexed { summary, kind });
            self.held += 1;
            self.leave_out(MAX_ENTRIES);
        }
        self.partitions.entry(id.partition).or_default().next = id.offset + 1;
    }

    fn find(&mut self, id: EntryId) -> Option<&mut EntrySummary> {
        let entries = &mut self.partitions.get_mut(&id.partition)?.entries;
        let found = entries
            .binary_search_by_key(&id.offset, |entry| entry.summary.id.offset)
            .ok()?;
        Some(&mut entries.get_mut(found)?.summary)
    }

    fn kind(&mut self, summary: &EntrySummary) -> usize {
        if self.kinds.len() > 2 * self.held + MAX_UNUSED_KINDS {
            self.remove_unused_kinds();
        }
        let kind = Kind {
            pattern: reason_pattern(summary.reason()),
            stage: summary.stage.clone(),
            category: summary.error_category,
        };
        let next = self.kinds.len();
        let number = *self.kind_numbers.entry(kind.clone()).or_insert(next);
        if number == next {
            self.kinds.push(kind);
        }
        number
    }

    fn remove_unused_kinds(&mut self) {
        let before = std::mem::take(&mut self.kinds);
        self.kind_numbers.clear();
        for entry in self
            .partitions
            .values_mut()
            .flat_map(|partition| &mut partition.entries)
        {
            let Some(kind) = before.get(entry.kind) else { continue };
            let next = self.kinds.len();
            entry.kind = *self.kind_numbers.entry(kind.clone()).or_insert(next);
            if entry.kind == next {
                self.kinds.push(kind.clone());
            }
        }
    }

    /// Removes the oldest entries of the largest partitions until `most` are left.
    fn leave_out(&mut self, most: usize) {
        while self.held > most
            && let Some(largest) = self
                .partitions
                .values_mut()
                .max_by_key(|partition| partition.entries.len())
            && let Some(oldest) = largest.entries.pop_front()
        {
            largest.left_below = oldest.summary.id.offset + 1;
            self.held -= 1;
        }
    }

    fn entries(&self) -> impl Iterator<Item = &Indexed> {
        self.partitions.values().flat_map(|partition| &partition.entries)
    }

    /// Returns the number of entries that wait.
    #[must_use]
    pub fn waiting(&self) -> u64 {
        let waiting = self
            .entries()
            .filter(|entry| entry.summary.state == EntryState::Waiting);
        waiting.count() as u64
    }

    /// Returns the newest entries of a list, and all of them by like reasons.
    #[must_use]
    pub fn page(&self, query: &ListQuery) -> IndexPage {
        let reason = query.filter.reason.as_deref().map(reason_pattern);
        let is_like = |kind: &Kind| reason.as_ref().is_none_or(|reason| kind.pattern == *reason);
        // Of each kind, whether it is included, and the group of what was found.
        let mut groups: Vec<(bool, ReasonGroup)> =
            self.kinds.iter().map(|kind| (is_like(kind), kind.group())).collect();
        let mut page = Page::default();
        let mut newest: Vec<&EntrySummary> = Vec::new();
        for Indexed { summary, kind } in self.entries() {
            let Some((true, group)) = groups.get_mut(*kind) else {
                continue;
            };
            if !query.filter.matches_summary(summary) {
                continue;
            }
            let waits = summary.state == EntryState::Waiting;
            page.waiting += u64::from(waits);
            page.settled += u64::from(!waits);
            if waits || query.all {
                newest.push(summary);
                group.add(summary.failed_at);
            }
        }
        if newest.len() > query.limit {
            newest.select_nth_unstable_by_key(query.limit, |entry| Reverse(entry.failed_at));
            newest.truncate(query.limit);
        }
        newest.sort_by_key(|entry| Reverse(entry.failed_at));
        page.entries = newest.into_iter().cloned().collect();
        let mut groups: Vec<ReasonGroup> = groups.into_iter().map(|(_, group)| group).collect();
        groups.retain(|group| group.count > 0);
        groups.sort_by(|one, other| {
            (other.count, &one.pattern, &one.stage).cmp(&(one.count, &other.pattern, &other.stage))
        });
        IndexPage {
            page,
            groups,
            has_older: self.partitions.values().any(|held| held.left_below > held.low),
        }
    }
}

/// Returns what a list shows of an entry: texts of messages have up to a megabyte.
fn shortened(mut summary: EntrySummary) -> EntrySummary {
    summary.attachment_url = None;
    summary.key = None;
    summary.source = None;
    for text in [&mut summary.trace_id, &mut summary.stage, &mut summary.final_error] {
        if let Some(text) = text
            && let Some((end, _)) = text.char_indices().nth(MAX_TEXT_CHARS)
        {
            text.truncate(end);
            text.shrink_to_fit();
        }
    }
    summary
}

impl Kind {
    fn group(&self) -> ReasonGroup {
        ReasonGroup {
            pattern: self.pattern.clone(),
            stage: self.stage.clone(),
            category: self.category,
            count: 0,
            first: None,
            last: None,
        }
    }
}

impl ReasonGroup {
    fn add(&mut self, failed_at: Option<Timestamp>) {
        self.count += 1;
        self.first = [self.first, failed_at].into_iter().flatten().min();
        self.last = self.last.max(failed_at);
    }
}

#[cfg(test)]
mod tests {
    use super::super::entry::Settlement;
    use super::super::filter::Filter;
    use super::*;
    use xact_contracts::messages::{DeadLetter, Problem, SourceRecord, encode};
    use xact_telemetry::trace_context::TraceContext;

    fn record(partition: i32, offset: i64, value: Option<Vec<u8>>) -> TopicRecord {
        TopicRecord {
            partition,
            offset,
            timestamp: None,
            key: Some(format!("t{offset}").into_bytes()),
            value,
            headers: Vec::new(),
        }
    }

    /// A dead letter that failed `second` seconds after the start of 1970.
    fn letter(partition: i32, offset: i64, second: i64, error: &str) -> TopicRecord {
        let source = SourceRecord {
            topic: "xact.events.raw".to_owned(),
            partition: 0,
            offset: 1,
            timestamp: None,
        };
        let at = Timestamp::from_second(second).unwrap();
        let problem = Problem::new(Category::Transient, error);
        let letter = DeadLetter::of_payload(b"{", None, &problem, "upload", source, at);
        record(partition, offset, Some(encode(&letter)))
    }

    fn mark(partition: i32, offset: i64, of: i64) -> TopicRecord {
        let id = EntryId { partition, offset: of };
        let tombstone = Mark::tombstone(
            id,
            Settlement::Replayed,
            "anna",
            Timestamp::UNIX_EPOCH,
            &TraceContext::new(),
        );
        let headers = tombstone.headers.into_iter();
        TopicRecord {
            key: Some(tombstone.key.into_bytes()),
            headers: headers
                .map(|(name, value)| (name.to_owned(), Some(value.into_bytes())))
                .collect(),
            ..record(partition, offset, None)
        }
    }

    fn query(all: bool, limit: usize, reason: Option<&str>) -> ListQuery {
        let filter = Filter {
            reason: reason.map(str::to_owned),
            ..Filter::default()
        };
        ListQuery { filter, all, limit }
    }

    fn index() -> DeadLetterIndex {
        let mut index = DeadLetterIndex::default();
        for record in [
            letter(0, 3, 30, "HTTP 503"),
            letter(0, 4, 10, "HTTP 502"),
            letter(1, 7, 20, "refused"),
            mark(0, 5, 4),
            record(1, 8, Some(b"a note".to_vec())),
        ] {
            index.add(record);
        }
        index
    }

    #[test]
    fn entries_are_counted_grouped_and_listed_by_their_newest_state() {
        let index = index();
        assert_eq!(index.waiting(), 3);
        let found = index.page(&query(false, 2, None));
        let ids = |page: &Page| {
            page.entries
                .iter()
                .map(|entry| entry.id.to_string())
                .collect::<Vec<_>>()
        };
        assert_eq!(
            (found.page.waiting, found.page.settled, ids(&found.page)),
            (3, 1, vec!["0:3".to_owned(), "1:7".to_owned()])
        );
        assert_eq!(found.groups.len(), 3, "{:?}", found.groups);
        let found = index.page(&query(true, 9, Some("HTTP 999")));
        assert_eq!(ids(&found.page), ["0:3", "0:4"]);
        assert_eq!(found.page.entries[1].settled_by.as_deref(), Some("anna"));
        let group = &found.groups[0];
        let second = |at: Option<Timestamp>| at.map(Timestamp::as_second);
        assert_eq!(
            (
                group.pattern.as_str(),
                group.count,
                second(group.first),
                second(group.last)
            ),
            ("HTTP #", 2, Some(10), Some(30))
        );
    }

    #[test]
    fn a_later_reading_continues_and_follows_retention_and_a_topic_that_is_made_again() {
        let mut index = index();
        assert_eq!(index.begin(0, Span { low: 0, high: 9 }), 6);
        assert_eq!(index.begin(0, Span { low: 4, high: 9 }), 6, "0:3 is no longer retained");
        assert_eq!((index.begin(1, Span { low: 9, high: 9 }), index.waiting()), (9, 0));
        index.add(letter(0, 6, 5, "HTTP 503"));
        assert_eq!(
            (index.begin(0, Span { low: 0, high: 2 }), index.waiting()),
            (0, 0),
            "made again"
        );
    }

    #[test]
    fn the_oldest_are_left_out_of_too_many() {
        let mut index = index();
        index.leave_out(2);
        assert_eq!((index.held, index.entries().count()), (2, 2));
        assert!(index.page(&query(true, 9, None)).has_older);
        // Retention deletes what was left out.
        for partition in [0, 1] {
            index.begin(partition, Span { low: 8, high: 9 });
        }
        assert!(!index.page(&query(true, 9, None)).has_older);
        // The mark of an entry that is left out.
        index.add(mark(0, 6, 3));
    }

    #[test]
    fn memory_has_a_limit_whatever_messages_hold() {
        let mut index = DeadLetterIndex::default();
        index.add(letter(0, 0, 10, &"long ".repeat(100_000)));
        let mut summary = index.entries().next().unwrap().summary.clone();
        summary.trace_id = Some("ü".repeat(MAX_TEXT_CHARS + 1));
        let held = shortened(summary).trace_id.unwrap();
        assert_eq!(held.chars().count(), MAX_TEXT_CHARS);
        // Each has a reason of its own, and retention deletes each before the next.
        for offset in 1..5000 {
            index.add(letter(
                0,
                offset,
                10,
                &"x".repeat(usize::try_from(offset).unwrap() % 900 + 1),
            ));
            index.begin(
                0,
                Span {
                    low: offset,
                    high: offset + 1,
                },
            );
        }
        assert_eq!(index.held, 1);
        assert!(index.kinds.len() <= MAX_UNUSED_KINDS + 3, "{}", index.kinds.len());
        assert_eq!(index.page(&query(false, 9, None)).groups.len(), 1);
    }
}

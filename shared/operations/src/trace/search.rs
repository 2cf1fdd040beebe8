//! The search for an event: by its trace id, else for it, and then for everything of it.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use jiff::civil::Date;

use super::answer::{MAX_MATCHES, Match, Outcome, Searched, Trace};
use super::assemble::{Rules, assemble};
use super::dates::{Dates, dates_of};
use super::evidence::Evidence;
use super::life::EventLife;
use super::matching::{events_of, tasks_of};
use super::query::{IdKind, Query};
use super::tables::{Rows, TableSearch};
use super::topics::TopicSearch;
use crate::blocking::blocking;
use crate::error::{OperationError, refuse};
use xact_config::Settings;
use xact_contracts::ids;

/// A search and its parts.
pub(super) struct Search {
    topics: Arc<Mutex<TopicSearch>>,
    tables: TableSearch,
    raw_topic: String,
    query: Query,
}

/// What the id was found as.
pub(super) enum Found {
    Event(IdKind, Box<Evidence>),
    Several(Vec<(IdKind, Match)>),
    Nothing,
}

impl Search {
    pub(super) fn new(settings: &Settings, topics: TopicSearch, dates: Dates, query: Query) -> Self {
        Self {
            topics: Arc::new(Mutex::new(topics)),
            tables: TableSearch::new(settings, dates),
            raw_topic: settings.topics.raw.clone(),
            query,
        }
    }

    /// Reads the positions of the groups, which come before everything else.
    pub(super) async fn read_positions(&self) {
        self.topics(TopicSearch::read_positions).await;
    }

    /// Reads topics, which blocks.
    async fn topics<T: Send + 'static>(&self, read: impl FnOnce(&mut TopicSearch) -> T + Send + 'static) -> T {
        let topics = Arc::clone(&self.topics);
        blocking(move || read(&mut topics.lock().unwrap_or_else(PoisonError::into_inner))).await
    }

    pub(super) async fn find(&mut self) -> Found {
        let trace_id = self.query.trace_id().map(str::to_owned);
        if let Some(trace_id) = &trace_id {
            let mut evidence = self.begin(trace_id).await;
            if !evidence.is_empty() {
                self.read_raw_elsewhere(&mut evidence).await;
                return self.event(self.kind_of_trace_id(), evidence).await;
            }
        }
        let mut matches = self.matches().await;
        match matches.len() {
            0 => {
                // Neither a record of the event nor its row is left: records of its attachments may be.
                let evidence = Evidence {
                    trace_id: trace_id.unwrap_or_default(),
                    ..Evidence::default()
                };
                if evidence.trace_id.is_empty() {
                    return Found::Nothing;
                }
                self.event(self.kind_of_trace_id(), evidence).await
            }
            1 => {
                let (kind, found) = matches.remove(0);
                let mut evidence = self.begin(&found.trace_id).await;
                if found.found_in == self.raw_topic || kind == IdKind::MediaId {
                    self.read_raw_elsewhere(&mut evidence).await;
                }
                self.event(kind, evidence).await
            }
            _ => Found::Several(matches),
        }
    }

    async fn event(&mut self, kind: IdKind, evidence: Evidence) -> Found {
        let evidence = self.complete(evidence).await;
        if evidence.is_empty() {
            return Found::Nothing;
        }
        Found::Event(kind, Box::new(evidence))
    }

    /// Reads the other partitions of the raw topic, unless the event was found in its own.
    async fn read_raw_elsewhere(&mut self, evidence: &mut Evidence) {
        if !evidence.has_event() {
            let trace_id = evidence.trace_id.clone();
            let records = self.topics(move |topics| topics.raw_elsewhere(&trace_id)).await;
            evidence.records.extend(records);
        }
    }

    fn kind_of_trace_id(&self) -> IdKind {
        if self.query.may_be(IdKind::TraceId) {
            IdKind::TraceId
        } else {
            IdKind::BlobPath
        }
    }

    /// Reads the records of the event on the raw topic, and then its row.
    async fn begin(&mut self, trace_id: &str) -> Evidence {
        let id = trace_id.to_owned();
        let mut evidence = Evidence {
            trace_id: trace_id.to_owned(),
            records: self.topics(move |topics| topics.raw(&id)).await,
            ..Evidence::default()
        };
        let dates = dates(&evidence);
        evidence.rows.events = self.tables.event(ids::event_id(trace_id), &dates).await;
        evidence
    }

    /// Reads the records of the event on all other topics, and then the rows of its attachments.
    async fn complete(&mut self, mut evidence: Evidence) -> Evidence {
        let received = evidence
            .records
            .iter()
            .filter_map(|record| record.source.timestamp)
            .min();
        let trace_id = evidence.trace_id.clone();
        let (records, positions, is_complete) = self
            .topics(move |topics| {
                let records = topics.internal(&trace_id, received);
                (records, topics.positions().cloned(), topics.is_complete(received))
            })
            .await;
        evidence.records.extend(records);
        evidence.positions = positions;
        evidence.has_all_records = is_complete;
        let dates = match evidence.row_date() {
            Some(date) => BTreeSet::from([date]),
            None => dates(&evidence),
        };
        if evidence.rows.events.is_none() && !evidence.records.is_empty() {
            evidence.rows.events = self.tables.event(ids::event_id(&evidence.trace_id), &dates).await;
        }
        let (media_ids, mut rows) = (evidence.media_ids(), evidence.rows.clone());
        match dates.first().filter(|_| dates.len() == 1 && !evidence.has_event()) {
            Some(date) => self.tables.attachments_of(&evidence.trace_id, *date, &mut rows).await,
            None if media_ids.is_empty() => {
                rows = Rows {
                    attachments: Some(Vec::new()),
                    failed: Some(Vec::new()),
                    ..rows
                };
            }
            None => self.tables.attachments(&media_ids, &dates, &mut rows).await,
        }
        evidence.rows = rows;
        evidence
    }

    /// Searches for events by an id that is not their trace id, or by a trace id that is not the key of their record. Returns
    /// them newest first.
    async fn matches(&mut self) -> Vec<(IdKind, Match)> {
        let mut matches: BTreeMap<String, (IdKind, Match)> = BTreeMap::new();
        if let Some(media_id) = self.query.media_id()
            && let Some((found, _)) = self.tables.event_of(media_id).await
        {
            return vec![(IdKind::MediaId, found)];
        }
        let (query, topic) = (self.query.clone(), self.raw_topic.clone());
        let on_raw = self.topics(move |topics| events_of(topics, &query, &topic)).await;
        let is_by_task = on_raw.is_empty()
            && (self.query.media_id().is_some()
                || (self.query.may_be(IdKind::BlobPath) && self.query.trace_id().is_none()));
        let by_task = if is_by_task {
            let query = self.query.clone();
            self.topics(move |topics| tasks_of(topics, &query)).await
        } else {
            Vec::new()
        };
        let in_tables = self.tables.matching(&self.query, MAX_MATCHES).await;
        for (kind, found) in on_raw.into_iter().chain(by_task).chain(in_tables) {
            matches.entry(found.trace_id.clone()).or_insert((kind, found));
        }
        let mut matches: Vec<_> = matches.into_values().collect();
        matches.sort_by_key(|(_, found)| Reverse(found.event_timestamp));
        matches
    }

    pub(super) async fn answer(self, found: Found, rules: &Rules) -> Result<Trace, OperationError> {
        let (topics, mut unread) = self
            .topics(|topics| (std::mem::take(&mut topics.searched), std::mem::take(&mut topics.unread)))
            .await;
        unread.extend(self.tables.unread.iter().cloned());
        unread.dedup();
        let shown = self.query.shown();
        if matches!(found, Found::Nothing) && !unread.is_empty() {
            let unread = unread.join("; ");
            return refuse(format!(
                "{shown} was not found in what could be read. Not read: {unread}"
            ));
        }
        let searched = Searched {
            kinds: self.query.kinds.clone(),
            records: topics.iter().map(|partition| partition.records).sum(),
            bytes: topics.iter().map(|partition| partition.bytes).sum(),
            topics,
            cost: self.tables.cost(),
            tables: self.tables.searched,
        };
        let mut answer = Trace {
            id: shown,
            outcome: Outcome::NotFound,
            found_as: None,
            in_order: false,
            event: None,
            matches: Vec::new(),
            more_matches: false,
            searched,
            unread,
            advice: Vec::new(),
        };
        match found {
            Found::Event(kind, evidence) => {
                let life = assemble(&evidence, rules, &self.query);
                answer.outcome = Outcome::Found;
                answer.found_as = Some(kind);
                answer.in_order = life.as_ref().is_some_and(EventLife::is_in_order) && answer.unread.is_empty();
                answer.event = life.map(Box::new);
            }
            Found::Several(found) => {
                answer.outcome = Outcome::List;
                answer.found_as = found.first().map(|(kind, _)| *kind);
                answer.in_order = answer.unread.is_empty();
                answer.more_matches = found.len() > MAX_MATCHES;
                let matches = found.into_iter().map(|(_, found)| found.redacted());
                answer.matches = matches.take(MAX_MATCHES).collect();
                answer.advice.push("trace one of them by its trace id".to_owned());
            }
            Found::Nothing => answer.advice = advice(&self.query),
        }
        Ok(answer)
    }
}

/// Returns what to try if nothing was found.
fn advice(query: &Query) -> Vec<String> {
    let mut advice = vec![
        "search further back: --since DATE (rows and records), --max-dates, --max-records".to_owned(),
        "a message that could not be read has no id: xact-pipeline dlq list".to_owned(),
        "the settings name the clusters and tables that were searched: xact-pipeline check".to_owned(),
    ];
    if query.kinds.len() > 1 {
        let kinds: Vec<String> = query.kinds.iter().map(ToString::to_string).collect();
        let kinds = kinds.join(", ");
        advice.insert(0, format!("it was taken for: {kinds}; another kind is named by --as"));
    }
    advice
}

/// Returns the dates on which the rows of an event are, as far as its records tell.
fn dates(evidence: &Evidence) -> BTreeSet<Date> {
    let time = evidence.event_time();
    time.map(|(at, is_undated)| dates_of(at, is_undated))
        .unwrap_or_default()
}

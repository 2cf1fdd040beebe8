//! The life of an event: where it is, and where each of its attachments is, with every step, its time and its reason.
//!
//! - `query`: the id, and what it may be
//! - `topics`, `tables`: read the records and rows, within limits; `record`, `row`: what they hold
//! - `assemble`: makes the life of what was found, with `steps` and `next`; pure
//! - `life`, `answer`: what is answered; `links`: addresses in it
//!
//! An event is looked up by its trace id: in the partition of the trace id of each topic, and by the key filters of the
//! tables. Other ids are first searched for the trace id. The offsets of all groups are read first, then the records, then
//! the tables, so the answer is correct while the pipeline runs: see `reconcile`.

mod answer;
mod assemble;
mod claim;
mod life;
mod links;
mod next;
mod query;
mod record;
mod row;
mod steps;
mod tables;
mod topics;

pub use answer::{Match, Outcome, Searched, SearchedBy, SearchedPartition, SearchedTable, Trace};
pub use life::{
    AttachmentLife, AttachmentState, EventLife, EventRowLife, Next, RowPlace, RowState, Step, StepKind, TraceLink,
};
pub use query::IdKind;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, PoisonError};

use clap::Args;
use jiff::Timestamp;
use jiff::civil::Date;

use crate::arguments::parse_time;
use crate::blocking::blocking;
use crate::error::{OperationError, refuse};
use assemble::{Evidence, Rules, assemble};
use claim::claim_number;
use query::Query;
use tables::{Dates, Rows, TableSearch, dates_of};
use topics::TopicSearch;
use xact_config::Settings;
use xact_contracts::messages::Event;
use xact_contracts::redaction::redact_url;
use xact_contracts::{ids, time};
use xact_lake::Location;

/// Most events in a list.
pub const MAX_MATCHES: usize = 50;
/// Most matching events that are read from the raw topic, so that the newest can be listed.
const MAX_CANDIDATES: usize = 10_000;

/// What is looked for, and how far.
#[derive(Debug, Clone, Args)]
pub struct TraceRequest {
    /// What the ID is, if that cannot be seen from it
    #[arg(long = "as", value_name = "KIND", value_enum)]
    pub kind: Option<IdKind>,
    /// Search only what is of this time or later: records by their time, rows by the date of their event
    #[arg(long, value_name = "T", value_parser = parse_time)]
    pub since: Option<Timestamp>,
    /// Search only the rows of events of this UTC date
    #[arg(long, value_name = "DATE", conflicts_with = "since")]
    pub date: Option<Date>,
    /// Without --since and --date: search the rows of this number of dates, the newest that the table has
    #[arg(long, value_name = "N", default_value_t = 31, value_parser = clap::value_parser!(u16).range(1..=3660))]
    pub max_dates: u16,
    /// Read at most this number of records of a partition, the newest
    #[arg(long, value_name = "N", default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub max_records: u64,
}

/// Returns the life of the event with this id; several events as a list; or that there is none. What cannot be read is stated
/// in the answer.
///
/// # Errors
/// When the id is not valid, or nothing was found and something could not be read.
pub async fn trace(
    settings: &Settings,
    id: &str,
    request: &TraceRequest,
    now: Timestamp,
) -> Result<Trace, OperationError> {
    let files = Location::parse(&settings.onelake_base_path).ok();
    let beginnings = links::beginnings(&settings.onelake_base_path, files.as_ref());
    let query = Query::parse(id, request.kind, &beginnings)?;
    let dates = match (request.date, request.since) {
        (Some(date), _) => Dates::Only(date),
        (None, Some(since)) => Dates::Since(time::utc_date(since)),
        (None, None) => Dates::Newest(request.max_dates.into()),
    };
    let mut search = Search {
        topics: Arc::new(Mutex::new(TopicSearch::new(
            settings,
            request.since,
            request.max_records,
            now,
        ))),
        tables: TableSearch::new(settings, dates),
        raw_topic: settings.topics.raw.clone(),
        query,
    };
    search.topics(TopicSearch::read_positions).await;
    let found = search.find().await;
    let rules = Rules {
        now,
        max_retries: settings.max_retries,
        delta_writes: settings.delta_writes,
        files,
        trace_url_template: settings.trace_url_template.clone(),
    };
    search.answer(found, &rules).await
}

/// A search and its parts.
struct Search {
    topics: Arc<Mutex<TopicSearch>>,
    tables: TableSearch,
    raw_topic: String,
    query: Query,
}

/// What the id was found as.
enum Found {
    Event(IdKind, Box<Evidence>),
    Several(Vec<(IdKind, Match)>),
    Nothing,
}

impl Search {
    /// Reads topics, which blocks.
    async fn topics<T: Send + 'static>(&self, read: impl FnOnce(&mut TopicSearch) -> T + Send + 'static) -> T {
        let topics = Arc::clone(&self.topics);
        blocking(move || read(&mut topics.lock().unwrap_or_else(PoisonError::into_inner))).await
    }

    async fn find(&mut self) -> Found {
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

    async fn answer(self, found: Found, rules: &Rules) -> Result<Trace, OperationError> {
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

/// Returns the events on the raw topic that have the id.
fn events_of(topics: &mut TopicSearch, query: &Query, topic: &str) -> Vec<(IdKind, Match)> {
    let mut found = Vec::new();
    topics.events(|event, at| {
        if let Some(kind) = kind_of(query, event) {
            let found_in = topic.to_owned();
            found.push((kind, Match::of_raw(event, at, found_in)));
        }
        if found.len() < MAX_CANDIDATES {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        }
    });
    found
}

/// Returns as what an event has the id.
fn kind_of(query: &Query, event: &Event) -> Option<IdKind> {
    let has = |kind| match kind {
        IdKind::TraceId => event.trace_id == query.text,
        IdKind::AssignmentId => event.assignment_id.as_deref() == Some(&query.text),
        IdKind::ClaimNumber => claim_number(event).as_deref() == Some(&query.text),
        IdKind::MediaId => {
            let mut urls = event.attachments.iter();
            urls.any(|url| Some(ids::media_id(&event.trace_id, url)) == query.media_id())
        }
        IdKind::Url => {
            let mut urls = event.attachments.iter();
            urls.any(|url| *url == query.text || redact_url(url) == query.redacted_url)
        }
        // A path has the trace id, or its task has the path.
        IdKind::BlobPath => query.trace_id() == Some(&event.trace_id),
    };
    query.kinds.iter().copied().find(|kind| has(*kind))
}

/// Returns the events whose tasks on the pending topic have the id.
fn tasks_of(topics: &mut TopicSearch, query: &Query) -> Vec<(IdKind, Match)> {
    let mut found = Vec::new();
    topics.tasks(|task| {
        let kind = if query.media_id() == Some(task.media_id) {
            Some(IdKind::MediaId)
        } else {
            (query.may_be(IdKind::BlobPath) && task.blob_path == query.text).then_some(IdKind::BlobPath)
        };
        let Some(kind) = kind else {
            return ControlFlow::Continue(());
        };
        found.push((kind, Match::of_task(task)));
        ControlFlow::Break(())
    });
    found
}

//! The life of an event: where it is, and where each of its attachments is, with every step, its time and its reason.
//!
//! - `query`: the id, and what it may be
//! - `search`: the order of reading; `matching`: ids that are the key of nothing
//! - `topics`, `tables` (with `reading`, `dates`): read the records and rows, within limits; `record`, `row`: what they hold
//! - `evidence`: what was found; `assemble`: makes the life of it, with `drafts`, `steps` and `next`; pure
//! - `life`, `answer`: what is answered; `links`: addresses in it
//!
//! An event is looked up by its trace id: in the partition of the trace id of each topic, and by the key filters of the
//! tables. Other ids are first searched for the trace id. The offsets of all groups are read first, then the records, then
//! the tables, so the answer is correct while the pipeline runs: see `reconcile`.

mod answer;
mod assemble;
mod claim;
mod dates;
mod drafts;
mod evidence;
mod life;
mod links;
mod matching;
mod next;
mod query;
mod reading;
mod record;
mod row;
mod search;
mod steps;
mod tables;
mod topics;

pub use answer::{MAX_MATCHES, Match, Outcome, Searched, SearchedBy, SearchedPartition, SearchedTable, Trace};
pub use life::{
    AttachmentLife, AttachmentState, EventLife, EventRowLife, Next, RowPlace, RowState, Step, StepKind, TraceLink,
};
pub use query::IdKind;

use clap::Args;
use jiff::Timestamp;
use jiff::civil::Date;

use crate::arguments::parse_time;
use crate::error::OperationError;
use assemble::Rules;
use dates::Dates;
use query::Query;
use search::Search;
use topics::TopicSearch;
use xact_config::Settings;
use xact_contracts::time;
use xact_lake::Location;

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
    let topics = TopicSearch::new(settings, request.since, request.max_records, now);
    let mut search = Search::new(settings, topics, dates, query);
    search.read_positions().await;
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

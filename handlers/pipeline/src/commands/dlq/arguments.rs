//! The command line of `dlq`.

use clap::{Args, Subcommand};
use jiff::Timestamp;
use uuid::Uuid;

use crate::arguments::parse_time;
use xact_contracts::category::Category;
use xact_contracts::topology::Stage;
use xact_operations::dead_letters::{EntryId, Filter, Selection};

/// Commands on dead letters.
///
/// An entry is PARTITION:OFFSET, its position in the dead-letter topic. A resolved or replayed entry is marked by a
/// tombstone behind it; no consumer group's offset is moved.
#[derive(Debug, Subcommand)]
pub(crate) enum Dlq {
    /// List dead letters that wait to be settled
    List(List),
    /// Show everything about one entry; secrets are removed from URLs and texts
    View(View),
    /// Send the messages of dead letters again
    ///
    /// A task goes back to the pending topic with retry_count 0 and its replay_count increased by one. A message that
    /// could not be read goes back, byte for byte, to the topic it was read from: useful after an upgrade that can read it,
    /// otherwise it becomes a new dead letter. Each entry is marked when the broker has acknowledged its message. If the
    /// command is interrupted, run it again: replaying an entry twice adds no second row.
    ///
    /// Refused, with the reason: a task whose presigned URL has expired, whose attachment_url is not a URL, or whose event
    /// names no assignment (the source must send the event again), a truncated message, a foreign record. Settle those with
    /// `dlq resolve`. Exit 1 if any entry is refused.
    #[command(verbatim_doc_comment)]
    Replay(Settle),
    /// Mark dead letters as dealt with; nothing is sent
    Resolve(Settle),
}

/// Arguments of `dlq list`.
#[derive(Debug, Args)]
pub(crate) struct List {
    #[command(flatten)]
    pub(super) filter: FilterArguments,
    /// Include resolved and replayed entries
    #[arg(long)]
    pub(super) all: bool,
    /// Maximum number of rows of the table; the newest are shown
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub(super) limit: usize,
    /// JSON lines: one object per entry, without limit
    #[arg(long)]
    pub(super) json: bool,
}

/// Arguments of `dlq view`.
#[derive(Debug, Args)]
pub(crate) struct View {
    /// The entry
    #[arg(value_name = "PARTITION:OFFSET")]
    pub(super) entry: EntryId,
    /// Show signatures and tokens too
    #[arg(long)]
    pub(super) show_secrets: bool,
    /// Only the original bytes of a message that could not be read, unchanged, secrets included
    #[arg(long, conflicts_with_all = ["json", "show_secrets"])]
    pub(super) raw: bool,
    /// One JSON object
    #[arg(long)]
    pub(super) json: bool,
}

/// Arguments of `dlq replay` and `dlq resolve`.
#[derive(Debug, Args)]
pub(crate) struct Settle {
    /// The entries; without any, the filters select
    #[arg(value_name = "PARTITION:OFFSET")]
    pub(super) entries: Vec<EntryId>,
    #[command(flatten)]
    pub(super) filter: FilterArguments,
    /// Every entry that waits
    #[arg(long, conflicts_with_all = ["entries", "filter"])]
    pub(super) everything: bool,
    /// Only show what would be done
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Do not ask for confirmation
    #[arg(long)]
    pub(super) yes: bool,
    /// JSON lines: one object per entry, with what was done
    #[arg(long)]
    pub(super) json: bool,
}

impl Settle {
    pub(super) fn selection(&self) -> Selection {
        if self.everything {
            return Selection::Everything;
        }
        Selection::Matching {
            entries: self.entries.clone(),
            filter: self.filter.clone().into(),
        }
    }
}

/// Which entries. All conditions must hold.
#[derive(Debug, Clone, Args)]
#[group(id = "filter", multiple = true)]
pub(crate) struct FilterArguments {
    /// Of this event
    #[arg(long, value_name = "ID")]
    trace_id: Option<String>,
    /// Of this attachment
    #[arg(long, value_name = "UUID")]
    media_id: Option<Uuid>,
    /// permanent, transient, auth, circuit_open or unknown
    #[arg(long, value_parser = parse_category)]
    category: Option<Category>,
    /// Failed in this stage
    #[arg(long)]
    stage: Option<Stage>,
    /// Failed at this time or later, such as 2025-01-31T08:00:00Z (without a zone: UTC)
    #[arg(long, value_name = "T", value_parser = parse_time)]
    since: Option<Timestamp>,
    /// Failed before this time
    #[arg(long, value_name = "T", value_parser = parse_time)]
    until: Option<Timestamp>,
    /// In this partition of the dead-letter topic
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(0..))]
    partition: Option<i32>,
    /// At this offset
    #[arg(long, value_name = "N", requires = "partition", value_parser = clap::value_parser!(i64).range(0..))]
    offset: Option<i64>,
}

impl From<FilterArguments> for Filter {
    fn from(arguments: FilterArguments) -> Self {
        Self {
            trace_id: arguments.trace_id,
            media_id: arguments.media_id,
            category: arguments.category,
            stage: arguments.stage,
            since: arguments.since,
            until: arguments.until,
            partition: arguments.partition,
            offset: arguments.offset,
        }
    }
}

fn parse_category(text: &str) -> Result<Category, String> {
    Category::ALL
        .into_iter()
        .find(|category| category.as_str() == text)
        .ok_or_else(|| format!("the categories are {}", Category::ALL.map(Category::as_str).join(", ")))
}

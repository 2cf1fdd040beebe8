//! The command line of `dlq`.

use clap::{Args, Subcommand};
use jiff::Timestamp;
use uuid::Uuid;

use super::entry::{Entry, Place};
use crate::arguments::parse_time;
use xact_contracts::category::Category;
use xact_contracts::topology::Stage;

/// Commands on dead letters.
///
/// An entry is PARTITION:OFFSET, its place in the dead-letter topic. A resolved or replayed entry is marked by a
/// tombstone record behind it; no consumer group's offset is moved.
#[derive(Debug, Subcommand)]
pub(crate) enum Dlq {
    /// List dead letters that wait to be settled
    List {
        #[command(flatten)]
        filter: Filter,
        /// Resolved and replayed ones as well
        #[arg(long)]
        all: bool,
        /// Rows of the table; the newest are shown
        #[arg(long, value_name = "N", default_value_t = 100)]
        limit: usize,
        /// JSON lines: one object a line for every entry, without limit
        #[arg(long)]
        json: bool,
    },
    /// Show everything about one entry, URLs and texts without their secrets
    View {
        /// The entry
        #[arg(value_name = "PARTITION:OFFSET")]
        entry: Place,
        /// Print signatures and tokens too
        #[arg(long)]
        show_secrets: bool,
        /// Only the original bytes of a message that could not be read, exactly as they came, secrets included
        #[arg(long, conflicts_with_all = ["json", "show_secrets"])]
        raw: bool,
        /// One JSON object
        #[arg(long)]
        json: bool,
    },
    /// Give dead letters another try
    ///
    /// A task goes back to the pending topic with retry_count 0 and its replay_count raised by one. A message that
    /// could not be read goes back, byte for byte, to the topic that it was read from: useful once a new version reads it,
    /// otherwise it comes back as a new dead letter. Each entry is marked when the broker has acknowledged its message; if
    /// the command is stopped in between, run it again: repeating an entry adds no second row.
    ///
    /// Not replayed, with the reason: a task whose presigned URL has expired, whose attachment_url is no URL or whose event
    /// named no assignment (have the source send the event anew), a message of which only the beginning was kept, a
    /// record that is no dead letter. Settle those with `dlq resolve`. Exit 1 if there was any.
    #[command(verbatim_doc_comment)]
    Replay(Settle),
    /// Mark dead letters as dealt with; nothing is sent
    Resolve(Settle),
}

/// Which entries, and how to go about it.
#[derive(Debug, Args)]
pub(crate) struct Settle {
    /// The entries; without any, the filters choose
    #[arg(value_name = "PARTITION:OFFSET")]
    pub(crate) entries: Vec<Place>,
    #[command(flatten)]
    pub(crate) filter: Filter,
    /// Every entry that waits
    #[arg(long, conflicts_with_all = ["entries", "filter"])]
    pub(crate) everything: bool,
    /// Only show what would be done
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Do not ask
    #[arg(long)]
    pub(crate) yes: bool,
    /// JSON lines: one object a line for every entry, with what was done
    #[arg(long)]
    pub(crate) json: bool,
}

/// Which entries. All that are given must hold.
#[derive(Debug, Clone, Default, Args)]
#[group(id = "filter", multiple = true)]
pub(crate) struct Filter {
    /// Of this event
    #[arg(long, value_name = "ID")]
    pub(crate) trace_id: Option<String>,
    /// Of this attachment
    #[arg(long, value_name = "UUID")]
    pub(crate) media_id: Option<Uuid>,
    /// permanent, transient, auth, circuit_open or unknown
    #[arg(long, value_parser = parse_category)]
    pub(crate) category: Option<Category>,
    /// Given up by this stage
    #[arg(long)]
    pub(crate) stage: Option<Stage>,
    /// Given up at this time or later, such as 2025-01-31T08:00:00Z (without a zone: UTC)
    #[arg(long, value_name = "T", value_parser = parse_time)]
    pub(crate) since: Option<Timestamp>,
    /// Given up before this time
    #[arg(long, value_name = "T", value_parser = parse_time)]
    pub(crate) until: Option<Timestamp>,
    /// In this partition of the dead-letter topic
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(0..))]
    pub(crate) partition: Option<i32>,
    /// At this offset
    #[arg(long, value_name = "N", requires = "partition", value_parser = clap::value_parser!(i64).range(0..))]
    pub(crate) offset: Option<i64>,
}

impl Filter {
    /// Whether it chooses at all.
    pub(crate) fn is_empty(&self) -> bool {
        let Self {
            trace_id,
            media_id,
            category,
            stage,
            since,
            until,
            partition,
            offset,
        } = self;
        trace_id.is_none()
            && media_id.is_none()
            && category.is_none()
            && stage.is_none()
            && since.is_none()
            && until.is_none()
            && partition.is_none()
            && offset.is_none()
    }

    /// Whether an entry is chosen.
    pub(crate) fn takes(&self, entry: &Entry) -> bool {
        let is = |wanted: Option<bool>| wanted.unwrap_or(true);
        is(self.trace_id.as_deref().map(|id| entry.trace_id() == Some(id)))
            && is(self.media_id.map(|id| entry.media_id() == Some(id)))
            && is(self.category.map(|category| entry.category() == Some(category)))
            && is(self
                .stage
                .map(|stage| entry.letter().is_some_and(|letter| letter.stage == stage.name())))
            && is(self.since.map(|since| entry.failed_at().is_some_and(|at| at >= since)))
            && is(self.until.map(|until| entry.failed_at().is_some_and(|at| at < until)))
            && is(self.partition.map(|partition| entry.place.partition == partition))
            && is(self.offset.map(|offset| entry.place.offset == offset))
    }
}

fn parse_category(text: &str) -> Result<Category, String> {
    Category::ALL
        .into_iter()
        .find(|category| category.as_str() == text)
        .ok_or_else(|| format!("the categories are {}", Category::ALL.map(Category::as_str).join(", ")))
}

#[cfg(test)]
mod tests {
    use super::super::replay_plan::tests::a_letter;
    use super::*;

    fn takes(filter: &Filter) -> bool {
        filter.takes(&a_letter())
    }

    #[test]
    fn each_filter_chooses_by_its_own_field_and_all_must_hold() {
        let entry = a_letter();
        let none = Filter::default();
        assert!(none.is_empty() && takes(&none));
        let at = entry.failed_at().unwrap();
        let second = jiff::SignedDuration::from_secs(1);
        let of = |change: &dyn Fn(&mut Filter)| {
            let mut filter = Filter::default();
            change(&mut filter);
            assert!(!filter.is_empty());
            takes(&filter)
        };
        assert!(of(&|f| f.trace_id = Some("t".to_owned())) && !of(&|f| f.trace_id = Some("T".to_owned())));
        assert!(of(&|f| f.media_id = entry.media_id()) && !of(&|f| f.media_id = Some(Uuid::nil())));
        assert!(of(&|f| f.category = Some(Category::Transient)) && !of(&|f| f.category = Some(Category::Auth)));
        assert!(of(&|f| f.stage = Some(Stage::Download)) && !of(&|f| f.stage = Some(Stage::Upload)));
        assert!(of(&|f| f.since = Some(at)) && !of(&|f| f.since = Some(at + second)));
        assert!(of(&|f| f.until = Some(at + second)) && !of(&|f| f.until = Some(at)));
        assert!(of(&|f| f.partition = Some(1)) && !of(&|f| f.partition = Some(0)));
        assert!(of(&|f| f.offset = Some(7)) && !of(&|f| f.offset = Some(8)));
        assert!(!of(&|f| {
            f.trace_id = Some("t".to_owned());
            f.partition = Some(0);
        }));
    }
}

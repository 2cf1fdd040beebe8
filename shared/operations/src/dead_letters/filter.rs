//! Which entries a command is about.

use clap::Args;
use jiff::Timestamp;
use uuid::Uuid;

use super::entry::{Entry, EntryId};
use super::reason::reason_pattern;
use super::summary::{EntrySummary, FOREIGN};
use crate::arguments::parse_time;
use xact_contracts::category::Category;
use xact_contracts::redaction::redact_text;
use xact_contracts::topology::Stage;

/// Conditions on an entry; all that are given must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
#[group(id = "filter", multiple = true)]
pub struct Filter {
    /// Of this event
    #[arg(long, value_name = "ID")]
    pub trace_id: Option<String>,
    /// Of this attachment
    #[arg(long, value_name = "UUID")]
    pub media_id: Option<Uuid>,
    /// permanent, transient, auth, circuit_open or unknown
    #[arg(long, value_parser = parse_category)]
    pub category: Option<Category>,
    /// Failed in this stage
    #[arg(long)]
    pub stage: Option<Stage>,
    /// Failed at this time or later, such as 2025-01-31T08:00:00Z (without a zone: UTC)
    #[arg(long, value_name = "T", value_parser = parse_time)]
    pub since: Option<Timestamp>,
    /// Failed before this time
    #[arg(long, value_name = "T", value_parser = parse_time)]
    pub until: Option<Timestamp>,
    /// With a reason like this one: numbers, ids and addresses in it may differ
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    /// In this partition of the dead-letter topic
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(0..))]
    pub partition: Option<i32>,
    /// At this offset
    #[arg(long, value_name = "N", requires = "partition", value_parser = clap::value_parser!(i64).range(0..))]
    pub offset: Option<i64>,
}

fn parse_category(text: &str) -> Result<Category, String> {
    let found = Category::ALL.into_iter().find(|category| category.as_str() == text);
    found.ok_or_else(|| format!("the categories are {}", Category::ALL.map(Category::as_str).join(", ")))
}

impl Filter {
    /// Returns whether the filter has no condition.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Returns whether all conditions hold for an entry.
    #[must_use]
    pub fn matches(&self, entry: &Entry) -> bool {
        let letter = entry.letter();
        let reason = letter.map_or(FOREIGN, |letter| letter.final_error.as_str());
        self.is_of_reason(reason)
            && self.holds(&Facts {
                id: entry.id,
                trace_id: entry.trace_id(),
                media_id: entry.media_id(),
                category: entry.category(),
                stage: letter.map(|letter| letter.stage.as_str()),
                failed_at: entry.failed_at(),
            })
    }

    /// Returns whether all conditions but that on the reason hold for an entry.
    pub(super) fn matches_summary(&self, entry: &EntrySummary) -> bool {
        self.holds(&Facts {
            id: entry.id,
            trace_id: entry.trace_id.as_deref(),
            media_id: entry.media_id,
            category: entry.error_category,
            stage: entry.stage.as_deref(),
            failed_at: entry.failed_at,
        })
    }

    fn is_of_reason(&self, reason: &str) -> bool {
        let wanted = self.reason.as_deref();
        wanted.is_none_or(|wanted| reason_pattern(&redact_text(reason)) == reason_pattern(wanted))
    }

    fn holds(&self, entry: &Facts<'_>) -> bool {
        let holds = |condition: Option<bool>| condition.unwrap_or(true);
        let failed_at = entry.failed_at;
        holds(self.trace_id.as_deref().map(|id| entry.trace_id == Some(id)))
            && holds(self.media_id.map(|id| entry.media_id == Some(id)))
            && holds(self.category.map(|category| entry.category == Some(category)))
            && holds(self.stage.map(|stage| entry.stage == Some(stage.name())))
            && holds(self.since.map(|since| failed_at.is_some_and(|at| at >= since)))
            && holds(self.until.map(|until| failed_at.is_some_and(|at| at < until)))
            && holds(self.partition.map(|partition| entry.id.partition == partition))
            && holds(self.offset.map(|offset| entry.id.offset == offset))
    }
}

/// What conditions are about.
struct Facts<'a> {
    id: EntryId,
    trace_id: Option<&'a str>,
    media_id: Option<Uuid>,
    category: Option<Category>,
    stage: Option<&'a str>,
    failed_at: Option<Timestamp>,
}

#[cfg(test)]
mod tests {
    use super::super::replay::tests::task_entry;
    use super::*;

    #[test]
    fn each_condition_is_about_its_own_field_and_all_must_hold() {
        let entry = task_entry();
        let none = Filter::default();
        assert!(none.is_empty() && none.matches(&entry));
        let at = entry.failed_at().unwrap();
        let second = jiff::SignedDuration::from_secs(1);
        let of = |change: &dyn Fn(&mut Filter)| {
            let mut filter = Filter::default();
            change(&mut filter);
            assert!(!filter.is_empty());
            let matches = filter.matches(&entry);
            if filter.reason.is_none() {
                assert_eq!(filter.matches_summary(&EntrySummary::of(&entry)), matches);
            }
            matches
        };
        assert!(of(&|f| f.trace_id = Some("t".to_owned())) && !of(&|f| f.trace_id = Some("T".to_owned())));
        assert!(of(&|f| f.media_id = entry.media_id()) && !of(&|f| f.media_id = Some(Uuid::nil())));
        assert!(of(&|f| f.category = Some(Category::Transient)) && !of(&|f| f.category = Some(Category::Auth)));
        assert!(of(&|f| f.stage = Some(Stage::Download)) && !of(&|f| f.stage = Some(Stage::Upload)));
        assert!(of(&|f| f.since = Some(at)) && !of(&|f| f.since = Some(at + second)));
        assert!(of(&|f| f.until = Some(at + second)) && !of(&|f| f.until = Some(at)));
        assert!(of(&|f| f.partition = Some(1)) && !of(&|f| f.partition = Some(0)));
        assert!(of(&|f| f.offset = Some(7)) && !of(&|f| f.offset = Some(8)));
        let reason = |text: &str| of(&|f| f.reason = Some(text.to_owned()));
        assert!(reason("503") && reason("502") && !reason("refused"));
        assert!(!of(&|f| {
            f.trace_id = Some("t".to_owned());
            f.partition = Some(0);
        }));
    }
}

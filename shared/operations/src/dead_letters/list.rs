//! Lists entries: the newest ones, or all of them one by one.

use std::cmp::Reverse;
use std::ops::ControlFlow;

use clap::Args;

use super::entry::Entry;
use super::filter::Filter;
use super::summary::EntrySummary;
use super::topic::DeadLetterTopic;
use crate::blocking::blocking;
use crate::error::OperationError;
use xact_config::Settings;

/// Which entries are listed.
#[derive(Debug, Clone, Args)]
pub struct ListQuery {
    /// Conditions on the entries
    #[command(flatten)]
    pub filter: Filter,
    /// Include resolved and replayed entries
    #[arg(long)]
    pub all: bool,
    /// Maximum number of rows of the table; the newest are shown
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub limit: usize,
}

impl ListQuery {
    fn includes(&self, entry: &Entry) -> bool {
        self.filter.matches(entry) && (self.all || entry.mark.is_none())
    }
}

/// The newest entries of a list, and the number of all.
#[derive(Debug, Default)]
pub struct Page {
    /// The entries, newest first.
    pub entries: Vec<EntrySummary>,
    /// Matching entries that wait.
    pub waiting: u64,
    /// Matching entries that are settled, whether they are included or not.
    pub settled: u64,
}

/// Returns the newest entries of a list.
///
/// # Errors
/// When the topic cannot be read to its end.
pub async fn list(settings: &Settings, query: &ListQuery) -> Result<Page, OperationError> {
    let (settings, query) = (settings.clone(), query.clone());
    blocking(move || {
        let mut page = Page::default();
        DeadLetterTopic::open(&settings)?.visit(|entry| {
            let is_match = query.filter.matches(&entry);
            page.waiting += u64::from(is_match && entry.mark.is_none());
            page.settled += u64::from(is_match && entry.mark.is_some());
            if query.includes(&entry) {
                page.entries.push(EntrySummary::of(&entry));
            }
            if page.entries.len() >= query.limit.saturating_mul(2).max(1000) {
                keep_newest(&mut page.entries, query.limit);
            }
            ControlFlow::Continue(())
        })?;
        keep_newest(&mut page.entries, query.limit);
        Ok(page)
    })
    .await
}

fn keep_newest(entries: &mut Vec<EntrySummary>, limit: usize) {
    entries.sort_by_key(|entry| Reverse(entry.failed_at));
    entries.truncate(limit);
}

/// Calls `visit` for every entry of a list, in the order of each partition, until it breaks. Blocks.
///
/// # Errors
/// When the topic cannot be read to its end.
pub fn visit(
    settings: &Settings,
    query: &ListQuery,
    mut visit: impl FnMut(EntrySummary) -> ControlFlow<()>,
) -> Result<(), OperationError> {
    DeadLetterTopic::open(settings)?.visit(|entry| {
        if query.includes(&entry) {
            visit(EntrySummary::of(&entry))
        } else {
            ControlFlow::Continue(())
        }
    })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::replay::tests::task_entry;
    use super::*;

    #[test]
    fn the_newest_entries_are_kept() {
        let failed_at = |second| jiff::Timestamp::from_second(second).ok();
        let entry = |second| EntrySummary {
            failed_at: failed_at(second),
            ..EntrySummary::of(&task_entry())
        };
        let mut entries = vec![entry(3), entry(9), entry(1)];
        keep_newest(&mut entries, 2);
        let kept: Vec<_> = entries.iter().map(|entry| entry.failed_at).collect();
        assert_eq!(kept, [failed_at(9), failed_at(3)]);
    }
}

//! Lists entries: page by page, newest first, or all of them one by one.

use std::cmp::Reverse;
use std::ops::ControlFlow;

use serde::Serialize;

use super::entry::Entry;
use super::error::DeadLettersError;
use super::filter::Filter;
use super::summary::EntrySummary;
use super::topic::DeadLetterTopic;
use crate::blocking::blocking;
use xact_config::Settings;

/// Whether a list includes entries that are settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SettledEntries {
    /// Only waiting entries.
    Exclude,
    /// All entries.
    Include,
}

impl SettledEntries {
    fn allow(self, entry: &Entry) -> bool {
        self == Self::Include || entry.mark.is_none()
    }
}

/// A page of a list.
#[derive(Debug, Clone)]
pub struct ListQuery {
    /// Conditions on the entries.
    pub filter: Filter,
    /// Whether settled entries are included.
    pub settled: SettledEntries,
    /// Newer entries that earlier pages showed.
    pub skip: usize,
    /// Entries of the page.
    pub limit: usize,
}

/// The newest entries that match, and the number of all.
#[derive(Debug, Clone, Serialize)]
pub struct Page {
    /// The entries of the page, newest first.
    pub entries: Vec<EntrySummary>,
    /// Matching entries that wait.
    pub waiting: u64,
    /// Matching entries that are settled, whether they are included or not.
    pub settled: u64,
}

/// Returns one page of the entries that match.
///
/// # Errors
/// When the topic cannot be read to its end.
pub async fn list(settings: &Settings, query: &ListQuery) -> Result<Page, DeadLettersError> {
    let (settings, query) = (settings.clone(), query.clone());
    blocking(move || read_page(&settings, &query)).await
}

fn read_page(settings: &Settings, query: &ListQuery) -> Result<Page, DeadLettersError> {
    let mut newest = Newest::new(query.skip.saturating_add(query.limit));
    let (mut waiting, mut settled) = (0, 0);
    DeadLetterTopic::open(settings)?.visit(|entry| {
        if query.filter.matches(&entry) {
            match entry.mark {
                None => waiting += 1,
                Some(_) => settled += 1,
            }
            if query.settled.allow(&entry) {
                newest.push(entry.failed_at(), EntrySummary::of(&entry));
            }
        }
        ControlFlow::Continue(())
    })?;
    let entries = newest.into_items().into_iter().skip(query.skip).collect();
    Ok(Page {
        entries,
        waiting,
        settled,
    })
}

/// Calls `visit` for every entry that matches, in the order of each partition, until it breaks. Blocks.
///
/// # Errors
/// When the topic cannot be read to its end.
pub fn visit(
    settings: &Settings,
    filter: &Filter,
    settled: SettledEntries,
    mut visit: impl FnMut(EntrySummary) -> ControlFlow<()>,
) -> Result<(), DeadLettersError> {
    DeadLetterTopic::open(settings)?.visit(|entry| {
        if filter.matches(&entry) && settled.allow(&entry) {
            visit(EntrySummary::of(&entry))
        } else {
            ControlFlow::Continue(())
        }
    })?;
    Ok(())
}

/// The items with the highest keys of any number of items.
struct Newest<K, T> {
    limit: usize,
    items: Vec<(K, T)>,
}

impl<K: Ord + Copy, T> Newest<K, T> {
    fn new(limit: usize) -> Self {
        Self {
            limit,
            items: Vec::new(),
        }
    }

    fn push(&mut self, key: K, item: T) {
        self.items.push((key, item));
        if self.items.len() >= self.limit.saturating_mul(2).max(1000) {
            self.trim();
        }
    }

    fn trim(&mut self) {
        self.items.sort_by_key(|(key, _)| Reverse(*key));
        self.items.truncate(self.limit);
    }

    fn into_items(mut self) -> Vec<T> {
        self.trim();
        self.items.into_iter().map(|(_, item)| item).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_of_any_number_are_kept() {
        let mut newest = Newest::new(3);
        for second in (0..5000).rev().chain([9999]) {
            newest.push(second, second);
        }
        assert_eq!(newest.into_items(), [9999, 4999, 4998]);
    }
}

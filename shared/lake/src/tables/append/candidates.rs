//! Decides which rows of a batch are still to be added, given the keys and positions of the table.

use std::collections::{BTreeMap, HashMap, HashSet};

use jiff::civil::Date;

use crate::tables::rows::row::{Key, Sourced, TableRow};
use xact_contracts::ids::AppId;

/// A batch, with the date and key of each row computed once.
pub(crate) struct Candidates<'a, R> {
    rows: &'a [Sourced<R>],
    identities: Vec<(Date, Key)>,
}

/// The rows of a batch that are to be added, and why the others are not.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Selection {
    /// Indices into the batch, ascending.
    pub(crate) chosen: Vec<usize>,
    pub(crate) skipped_by_offset: usize,
    pub(crate) skipped_by_key: usize,
}

impl<'a, R: TableRow> Candidates<'a, R> {
    pub(crate) fn new(rows: &'a [Sourced<R>]) -> Self {
        let identity = |sourced: &Sourced<R>| (sourced.row.event_date(), sourced.row.key());
        let identities = rows.iter().map(identity).collect();
        Self { rows, identities }
    }

    /// Returns the keys to look up, by date: those of rows that are not written already by their offset.
    pub(crate) fn wanted(&self, positions: &BTreeMap<AppId, i64>) -> BTreeMap<Date, Vec<Key>> {
        let mut wanted: BTreeMap<Date, Vec<Key>> = BTreeMap::new();
        for (index, (date, key)) in self.identities.iter().enumerate() {
            if !self.is_written_by_offset(index, positions) {
                wanted.entry(*date).or_default().push(key.clone());
            }
        }
        wanted
    }

    /// Returns the rows to add: offset not below the position of its source, key not in the table, and the first of equal ones.
    pub(crate) fn select(&self, positions: &BTreeMap<AppId, i64>, present: &HashMap<Date, HashSet<Key>>) -> Selection {
        let mut selection = Selection::default();
        let mut seen = HashSet::new();
        for (index, identity) in self.identities.iter().enumerate() {
            let (date, key) = identity;
            if self.is_written_by_offset(index, positions) {
                selection.skipped_by_offset += 1;
            } else if present.get(date).is_some_and(|keys| keys.contains(key)) || !seen.insert(identity) {
                selection.skipped_by_key += 1;
            } else {
                selection.chosen.push(index);
            }
        }
        selection
    }

    pub(crate) fn rows_of(&self, chosen: &[usize]) -> Vec<&'a R> {
        let rows = chosen.iter().filter_map(|index| self.rows.get(*index));
        rows.map(|sourced| &sourced.row).collect()
    }

    fn is_written_by_offset(&self, index: usize, positions: &BTreeMap<AppId, i64>) -> bool {
        let source = self.rows.get(index).and_then(|sourced| sourced.source.as_ref());
        source.is_some_and(|source| positions.get(&source.app_id).is_some_and(|next| source.offset < *next))
    }
}

//! Dead letters: list, view, replay, resolve.
//!
//! An *entry* is a record of the dead-letter topic that is not a tombstone. It waits until it is settled, that is replayed
//! or resolved. Settling writes a tombstone after the entry, at a higher offset of the same partition ([`Mark`]), so the
//! state of every entry is in the topic itself and no consumer group's offset is involved. The topic must not be compacted
//! (`cleanup.policy=delete`, the default): an entry then expires no later than its mark.
//!
//! A settlement has two steps: [`plan`] returns what would be done, entry by entry; [`execute`] settles the planned entries that
//! still wait then. A mark names who settled the entry.

mod entry;
mod execute;
mod filter;
mod found;
mod index;
mod list;
mod original;
mod plan;
mod reason;
mod replay;
mod summary;
mod topic;
mod view;

pub use entry::{Entry, EntryId, Mark, Settlement};
pub use execute::{Execution, SettledEntry, execute};
pub use filter::Filter;
pub(crate) use found::{FoundEntries, FoundEntry};
pub use index::{DeadLetterIndex, IndexPage, ReasonGroup};
pub use list::{ListQuery, Page, list, visit};
pub use original::{Original, OriginalContent, Secrets};
pub use plan::{Decision, PlannedEntry, Selection, SettlementPlan, plan};
pub use reason::reason_pattern;
pub use summary::{EntryState, EntrySummary, Holds};
pub use topic::DeadLetterTopic;
pub use view::{EntryView, ReplayOutcome, original_message, view};

//! The cache folder: the files that the download stage hands over to the upload stage.
//!
//! - [`Cache`]: the folder, with its shards kept open, so that opening a file is one call
//! - [`Slot`] and [`Part`]: the download stage writes a file as a part and renames it once it is complete
//! - [`FileInfo`]: hash, size and kind of a complete file, stored in its footer
//! - [`CachedFile`]: the upload stage opens a file, checks its size, and removes it in the end
//! - [`Cutoffs`]: the janitor removes orphans
//! - [`Volume`]: how full the volume is
//!
//! `xact_contracts::cache_path` defines the layout. In Azure the folder is an SMB share, where each open, close, rename
//! and removal is a round trip and most are billed. One attachment takes eight such calls in both stages together:
//! `tests/system_calls.rs` counts them.
//!
//! The volume is shared, and other programs that write there may plant links. A shard is opened without following a link,
//! and a file is opened by its name in its shard, again without following one: no link leads outside, or to another file.

mod cache;
mod cached_file;
mod error;
mod folders;
mod footer;
mod janitor;
mod part;
mod previous;
mod regular_file;
mod slot;
#[cfg(test)]
mod test_cache;
mod volume;

pub use cache::{Cache, probe};
pub use cached_file::{CachedContent, CachedFile, Lookup};
pub use error::CacheError;
pub use footer::{ContentKind, FileInfo};
pub use janitor::Cutoffs;
pub use part::Part;
pub use slot::Slot;
pub use volume::{Volume, VolumeFullError};

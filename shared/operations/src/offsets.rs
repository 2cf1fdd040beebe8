//! The positions of the consumer groups: showing them, moving them, and skipping records that cannot be read.
//!
//! [`reset::plan`] and [`skip::plan`] return what would be done; `execute` of the plan does it. A group is moved only while it
//! has no members.

mod positions;
pub mod reset;
pub mod skip;

pub use positions::{Group, GroupPartition, Position, groups};

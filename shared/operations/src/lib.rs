//! What an operator can ask or do, as functions that return data.
//!
//! A function takes the `Settings` and plain arguments, and returns an answer that serialises to JSON, or an error whose text
//! says what to do. Nothing here prints or parses a command line: `xact-pipeline` turns the answers into tables and JSON.

mod blocking;
pub mod check;
pub mod columns;
pub mod dead_letters;
pub mod delivery;
pub mod explain;
pub mod files;
pub mod leftovers;
mod next_record;
pub mod offsets;
pub mod onelake_cost;
pub mod produce;
pub mod reconcile;
pub mod tables;
pub mod topics;
pub mod validate;

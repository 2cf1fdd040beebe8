//! What an operator can ask or do, as functions that return data.
//!
//! A function takes the `Settings` and a request, and returns an answer, or an error whose text says what to do. A request
//! declares its arguments (clap) and an answer its JSON (serde); `xact-pipeline` parses the one and prints the other.

mod arguments;
mod blocking;
pub mod check;
pub mod columns;
pub mod dead_letters;
mod delivery;
mod error;
pub mod explain;
mod files;
mod lakehouse;
pub mod leftovers;
mod next_record;
pub mod offsets;
mod onelake_cost;
mod prices;
pub mod produce;
pub mod reconcile;
pub mod tables;
pub mod today;
pub mod topics;
pub mod trace;
pub mod validate;
mod versions;

pub use arguments::parse_time;
pub use error::OperationError;
pub use onelake_cost::OneLakeCost;
pub use versions::versions;

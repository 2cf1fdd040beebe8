//! What the two table-writing stages share: a Delta table as a dependency of a batch handler.
//!
//! - [`table`]: from the settings to a table
//! - [`TableSink`]: reads and writes it; its errors keep the batch until the table works again
//! - `agreement`: what the group's offset, the table's position and the topic's bounds say together on assignment
//! - [`UndatedRows`]: dates of rows whose event has no timestamp
//!
//! It is a crate because `runtime` does not depend on `lake`, nor `lake` on `runtime`.

mod agreement;
mod configured;
mod sink;
mod unavailable;
mod undated;

pub use configured::{Configured, OpenTableError, table};
pub use sink::{TableSink, sourced};
pub use undated::{UndatedRows, WINDOW_DAYS};

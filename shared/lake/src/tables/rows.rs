//! The rows of the three tables: their columns, types and order, each declared once.

pub(crate) mod attachments;
pub(crate) mod columns;
pub(crate) mod events;
pub(crate) mod failed;
pub(crate) mod row;
pub(crate) mod source;

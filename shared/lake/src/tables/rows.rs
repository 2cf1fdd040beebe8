//! The rows of the three tables: columns, types and order are declared once, here.

pub(crate) mod attachments;
pub(crate) mod columns;
pub(crate) mod events;
pub(crate) mod failed;
pub(crate) mod row;
pub(crate) mod source;

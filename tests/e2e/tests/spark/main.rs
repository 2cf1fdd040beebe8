//! The tables as other engines use them: read by every engine after events with hostile values, and altered by Spark while the
//! pipeline runs.
//!
//! A separate test program, because Spark takes a gigabyte and should not run next to other programs' tests.

mod altered;
mod readers;

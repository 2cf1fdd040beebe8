//! The tables as the rest of the world has them: read by every engine after events that nobody should send, and altered by
//! Spark while the pipeline runs.
//!
//! A program of its own: a Spark takes a gigabyte, and other programs' tests need not share the machine with it.

mod altered;
mod readers;

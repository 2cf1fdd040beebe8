//! The kill storm: thousands of events on their way while processes and broker are killed, frozen and stopped; then
//! every row and every file is counted, from outside.
//!
//! A run is decided by its seed: [`xact_testkit::events::of_seed`] says what is sent and how each attachment must end, [`schedule`] who is
//! struck when, and how. The order in which the machine does the rest is its own.
//!
//! Reading order: [`options`] → [`schedule`] → [`cluster`] (the processes, and what they are allowed) →
//! [`sender`] → [`storm`] (the run) → [`drain`] (until nothing is left to do) → [`verdict`] (what is there against what
//! must be) → [`last_seen`] (where a lost one was last) → [`report`].

// A program's own words.
#![allow(clippy::print_stdout)]

pub mod cluster;
pub mod drain;
pub mod last_seen;
pub mod options;
pub mod report;
pub mod schedule;
pub mod sender;
pub mod storm;
pub mod verdict;

pub use options::Options;
pub use report::Report;
pub use storm::run;

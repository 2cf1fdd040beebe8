//! The kill storm: sends thousands of events while processes and broker are killed, frozen and stopped; then checks every row
//! and every file from outside.
//!
//! The seed of a run decides what is sent and how each attachment must end ([`xact_testkit::events::of_seed`]), and which
//! process is killed, frozen or stopped when ([`schedule`]). It does not decide how the processes interleave.
//!
//! Reading order: [`options`] → [`schedule`] → [`cluster`] (the processes) → [`sender`] → [`storm`] (the run) → [`drain`] (waits
//! for the end of all work) → [`verdict`] (actual against expected results) → [`last_seen`] (where a lost message was last) →
//! [`report`].

// The output of a program.
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

//! What the emulators of this repository have in common.
//!
//! - [`Server`]: a listener with or without TLS, a limit on connections, and a shutdown with a grace period.
//! - [`certificates`]: certificates that are given, and throw-away ones with their own authority.
//! - [`faults!`]: an enum of faults that clients can ask for by name, with the table for the help page.
//! - [`process`]: arguments, signals, health probe and exit code of an emulator's process.

pub mod certificates;
mod connections;
mod faults;
pub mod process;
mod server;

pub use faults::UnknownFaultError;
pub use server::{Server, StartError};

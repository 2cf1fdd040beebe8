//! The emulator over real HTTP: its protocols, its refusals and faults, its folder, and the clients of others.
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod access;
mod azurite;
mod billing;
mod blob;
mod clients;
mod dfs;
mod faults;
mod folder;
mod signed;
mod support;
mod uploads;

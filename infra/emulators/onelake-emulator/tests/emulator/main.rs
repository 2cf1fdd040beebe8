//! The emulator over HTTP: protocols, errors, faults, the folder, and other clients.
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod access;
mod appends;
mod azurite;
mod billing;
mod blob;
mod blob_lists;
mod blocks;
mod clients;
mod dfs;
mod dfs_lists;
mod faults;
mod folder;
mod renames;
mod signed;
mod support;
mod uploads;
mod workspaces;

//! An emulator of Microsoft OneLake: the DFS and the Blob verbs of Azure Storage over one namespace on one port, with the
//! data as plain files in a folder, and faults and latency on demand.
//!
//! Local development, tests and the compose stack write to it what production writes to OneLake. What is stored can be
//! looked at with any file manager:
//!
//! ```text
//! {folder}/{workspace}/{item}/{Files|Tables}/…      e.g. lake/claims/Lake.Lakehouse/Files/FNOL/roof.jpg
//! {folder}/.onelake/…                                what is not yet committed, and properties of files
//! ```
//!
//! It behaves like OneLake, not like a storage account, where the two differ (and says so in `names`, `catalog`
//! and [`verbs`]): workspaces, items and their folders are not made through the storage API, names that Windows cannot
//! hold are refused, batches are answered with 400.
//!
//! Each request is billed as OneLake would bill it ([`OneLake::bill`]), by the price list in
//! [`xact_contracts::onelake_billing`].
//!
//! Reading order: [`server`] (listener, TLS) → `service` (one request from its first byte to the last of its answer) →
//! `target` and [`verbs`] (what is asked for) → `access` (who asks) → [`faults`] (what may go wrong) → `dfs` and `blob`
//! (the two protocols) → `storage` (the folder). `/__admin` explains itself.
#![forbid(unsafe_code)]

mod access;
mod admin;
mod answers;
mod blob;
mod catalog;
pub mod certificates;
mod checksums;
mod conditions;
mod connections;
mod content;
mod counters;
mod dfs;
mod errors;
pub mod faults;
mod latency;
mod managed_identity;
mod names;
mod paths;
mod ranges;
mod request;
pub mod server;
mod service;
mod storage;
mod target;
mod upload;
pub mod verbs;
mod workspaces;
mod xml;

pub use access::AcceptedToken;
pub use catalog::Item;
pub use counters::{Area, VerbCount};
pub use faults::{Fault, Rule};
pub use managed_identity::ManagedIdentity;
pub use server::{OneLake, Options, StartError, Tls};
pub use verbs::{Protocol, Verb};
pub use xact_contracts::onelake_billing::{Bill, BillingClass, Charge};

//! An emulator of Microsoft OneLake: the DFS and Blob protocols of Azure Storage over one namespace on one port, with the
//! data as plain files in a folder, and faults and latency on demand.
//!
//! Local development, tests and the compose stack write to it what production writes to OneLake:
//!
//! ```text
//! {folder}/{workspace}/{item}/{Files|Tables}/…      e.g. lake/claims/Lake.Lakehouse/Files/FNOL/roof.jpg
//! {folder}/.onelake/…                                uncommitted data, and properties of files
//! ```
//!
//! Where OneLake and a storage account differ, it behaves like OneLake (`names`, `catalog` and [`verbs`] give the sources):
//! workspaces, items and their folders cannot be made through the storage API, names that Windows cannot hold are
//! refused, batches are answered with 400.
//!
//! Each request is billed as OneLake would bill it ([`OneLake::bill`]), by the price list in
//! [`xact_contracts::onelake_billing`].
//!
//! Reading order: [`server`] (the listener) → `service` (one request from its first byte to the last of its answer) →
//! `target` and [`verbs`] (what a request asks for) → `access` (who sends it) → [`faults`] and `rules` (what may go wrong)
//! → `dfs` and `blob` (the two protocols) → `storage` (the folder). `GET /__admin` lists faults, counters and more.

mod access;
mod admin;
mod answers;
mod blob;
mod call;
mod catalog;
mod checksums;
mod content;
mod counters;
mod dfs;
mod errors;
pub mod faults;
mod managed_identity;
mod names;
mod paging;
mod paths;
mod ranges;
mod request;
mod rules;
pub mod server;
mod service;
mod state;
mod storage;
mod target;
mod upload;
pub mod verbs;
mod workspaces;
mod xml;

pub use access::AcceptedToken;
pub use catalog::Item;
pub use counters::{Area, VerbCount};
pub use emulator_kit::certificates::{AUTHORITY_FILE, Certificate};
pub use faults::Fault;
pub use managed_identity::ManagedIdentity;
pub use rules::Rule;
pub use server::{OneLake, Options, StartError};
pub use verbs::{Protocol, Verb};
pub use xact_contracts::onelake_billing::{Bill, BillingClass, Charge};

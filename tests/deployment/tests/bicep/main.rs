//! The deployment in `bicep/`: it builds and lints without diagnostics, and the resources that the Bicep CLI predicts for each
//! variant are as required.

#![allow(clippy::unwrap_used)]

mod access;
mod cli;
mod console;
mod documentation;
mod grant_onelake;
mod hubs;
mod jobs;
mod kusto;
mod log_alerts;
mod monitoring;
mod network;
mod operation;
mod recorded;
mod runbooks;
mod scaling;
mod settings;
mod snapshot;
mod telemetry;
mod template;
mod topology;

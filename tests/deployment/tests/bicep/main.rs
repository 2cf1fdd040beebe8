//! The deployment in `bicep/`, as the Bicep CLI predicts it: built and linted without a word, and every resource of each
//! variant looked at.

#![allow(clippy::unwrap_used)]

mod access;
mod cli;
mod documentation;
mod grant_onelake;
mod hubs;
mod network;
mod operation;
mod scaling;
mod settings;
mod snapshot;
mod template;
mod topology;

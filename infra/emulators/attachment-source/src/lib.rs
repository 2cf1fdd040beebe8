//! The sample attachment server: real files of any size at any path, and faults on demand, over HTTP and HTTPS.
//!
//! Local development, demos, tests and the compose stack download from it what production downloads from
//! presigned URLs. The path decides everything, so that whoever sends the URL knows the answer beforehand:
//!
//! ```text
//! /{kind}/{size in bytes}/{unique}/{file name}    e.g. /ok/10240/event-7/roof.jpg, /truncated-once/500000/x/estimate.pdf
//! /anything/else.pdf                              a good file of 20 KiB
//! ```
//!
//! `kind` is `ok` or a [`Fault`]; the query is ignored, as a presigned URL's is by whoever reads the file.
//! [`content_for`] computes what the server serves, so a test compares hashes without a second download.
//!
//! Reading order: [`sample_path`] (what a path asks for) → [`content`] (the bytes) → [`faults`] (what may go wrong)
//! → `answers` (the HTTP answer) → [`server`] (listeners, certificate, shutdown).
#![forbid(unsafe_code)]

mod answers;
mod certificates;
mod connections;
pub mod content;
pub mod faults;
pub mod sample_path;
mod seen_paths;
pub mod server;

pub use certificates::Certificate;
pub use content::{Content, content_for};
pub use faults::Fault;
pub use sample_path::decode_path;
pub use server::{AttachmentSource, Options, StartError};

//! The sample attachment server: real files of any size at any path, and faults on demand, over HTTP and HTTPS.
//!
//! Local development, demos, tests and the compose stack download from it what production downloads from presigned URLs.
//! The path decides the answer, so that the sender of a URL can predict it:
//!
//! ```text
//! /{kind}/{size in bytes}/{unique}/{file name}    e.g. /ok/10240/event-7/roof.jpg, /truncated-once/500000/x/estimate.pdf
//! /anything/else.pdf                              a file of 20 KiB
//! ```
//!
//! `kind` is `ok` or a [`Fault`]; the query is ignored. [`content_for`] returns what the server serves, so that a test can
//! compare hashes without a second download.
//!
//! Reading order: [`sample_path`] (what a path asks for) → [`content`] (the bytes) → [`faults`] (what may go wrong)
//! → `answers` (the HTTP answer) → [`server`] (listeners and certificate).

mod answers;
pub mod content;
pub mod faults;
pub mod sample_path;
mod seen_paths;
pub mod server;

pub use content::{SampleFile, content_for};
pub use emulator_kit::StartError;
pub use emulator_kit::certificates::{Certificate, CertificateError};
pub use faults::Fault;
pub use sample_path::decode_path;
pub use server::{AttachmentSource, Options};

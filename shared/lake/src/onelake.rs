//! OneLake: files over the DFS endpoint, Delta tables over the Blob endpoint, both through one HTTP client with one
//! identity.
//!
//! - `connection`: who asks, and what a 401 and a 403 mean
//! - `transport`: `azure_storage_datalake` over it
//! - `files`: [`crate::FileStore`] on that
//! - `blobs` (feature `delta`): `object_store` over the same connection

mod connection;
mod files;
mod transport;

#[cfg(feature = "delta")]
mod blobs;

pub use connection::{ConnectError, Connection};
pub(crate) use files::OneLakeFiles;

#[cfg(feature = "delta")]
pub(crate) use blobs::open_blobs;

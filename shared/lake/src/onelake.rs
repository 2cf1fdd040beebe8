//! OneLake through one HTTP client with one identity.
//!
//! OneLake answers two protocols over the same files. Two crates speak them here, because each is right for one half:
//!
//! - **Blob**, for the bodies of files (`azure_storage_blob`, the maintained client, on the same `azure_core` as
//!   `azure_identity`) and for Delta tables (`object_store`). Put Blob is atomic for readers, creates the folders above the
//!   blob, can be made conditional, and is billed as one write per 4 MB.
//! - **DFS**, for what has folders in it: listing, and reading and deleting by path (`azure_storage_datalake`, the last
//!   release of its line, on `azure_core` 0.21). Files are not written over DFS: that takes a create, an append, a flush and a
//!   rename, and OneLake bills a rename as an iterative write, 80 times the price of a Put Blob.
//!
//! Where things are:
//!
//! - `connection`: who asks, what a 401 and a 403 mean
//! - `meter`: what its requests cost
//! - `dfs_transport`, `blob_transport`: the two crates over that connection
//! - `refusal`: what an answered refusal says about the path, the item or the service
//! - `bodies`: writes one file's content
//! - `files`: [`crate::FileStore`] on those
//! - `blobs` (feature `delta`): `object_store` over the same connection

mod blob_transport;
mod bodies;
mod connection;
mod dfs_transport;
mod files;
mod meter;
mod refusal;

#[cfg(feature = "delta")]
mod blobs;

pub use connection::{ConnectError, Connection};
pub(crate) use files::OneLakeFiles;
pub use meter::RequestObserver;

#[cfg(feature = "delta")]
pub(crate) use blobs::open_blobs;

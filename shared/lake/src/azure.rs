//! The connection to OneLake, and the clients that send their requests through it.
//!
//! OneLake serves the same files over two protocols. Each needs a client crate of its own, so there are two Azure stacks:
//!
//! - **Blob** writes the content of files: `azure_storage_blob`, on the same `azure_core` as `azure_identity`. Put Blob is
//!   atomic for readers, creates the folders above the blob, can be made conditional, and is billed as one write per 4 MB.
//!   Delta tables use the Blob protocol as well, through `object_store`, because deltalake is built on it.
//! - **DFS** is for operations on folders, and for reading and deleting by path: `azure_storage_datalake`, the last release
//!   of its line, on `azure_core` 0.21 (`azure_core_legacy` here). Files are not written over DFS: that takes a create, an
//!   append, a flush and a rename, and OneLake bills a rename as an iterative write, 80 times the price of a Put Blob.
//!
//! All three clients send their requests through one [`connection::Http`], so they share a connection pool, an identity,
//! time limits and a bill:
//!
//! - `connection`: sends a request with a token; decides what a 401 and a 403 mean
//! - `meter`: counts what the requests cost
//! - `blob_transport`, `dfs_transport`: connect the client crates to the connection
//! - `service_error`: classifies the error codes of OneLake

pub(crate) mod blob_transport;
pub(crate) mod connection;
pub(crate) mod dfs_transport;
pub(crate) mod meter;
pub(crate) mod service_error;

//! Prices of requests to OneLake, and the class of each request.
//!
//! OneLake bills requests in capacity unit seconds (CU seconds) of a Fabric capacity. The rates are those of Microsoft
//! Learn, ["OneLake compute and storage consumption"][prices] (November 2026: access through redirect and through proxy
//! costs the same; without disaster recovery, which makes writes dearer). Which operation belongs to which class is the
//! mapping of Azure Storage, ["Map each REST operation to a price"][mapping], which that page refers to.
//!
//! | class | rate |
//! |---|---|
//! | write | 1,626 CU seconds per 10,000, each started 4 MB of the request's body counts as one |
//! | read | 104 CU seconds per 10,000, each started 4 MB of the answer's body counts as one |
//! | other | 104 CU seconds per 10,000 |
//! | iterative read | 1,626 CU seconds per 10,000 |
//! | iterative write | 1,300 CU seconds per 100 |
//! | delete | nothing |
//!
//! Requests that fail are billed as those that succeed; only requests that fail authentication are not ("Map each REST
//! operation to a price").
//!
//! [`Protocol::of_request`] and [`Operation::of_request`] classify a request, [`Operation::class`] gives its class, and
//! a [`Bill`] sums up. The emulator and the client count with the same functions.
//!
//! [prices]: https://learn.microsoft.com/fabric/onelake/onelake-consumption
//! [mapping]: https://learn.microsoft.com/azure/storage/blobs/map-rest-apis-transaction-categories

mod bill;
mod class;
mod operation;

pub use bill::{Bill, Charge};
pub use class::{BillingClass, Capacity, cu_seconds};
pub use operation::{Operation, Protocol, UnknownOperationError, UnknownProtocolError};

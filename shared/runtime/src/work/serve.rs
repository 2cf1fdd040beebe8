//! The interface of the two kinds of services. It hides the handler's type, so that one list can hold all services.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use tokio::runtime::Handle;

use super::context::WorkerContext;
use crate::consume::{Limits, Sink};
use crate::handler::{AssignError, Assigned, Starts};
use xact_contracts::ids::AppId;
use xact_kafka::{Record, TablePositions};

/// A boxed future. A trait object cannot have async functions.
pub(super) type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A service without its handler's type. See [`super::Service`] for the functions.
pub(super) trait Serve: Send + Sync + 'static {
    fn limits(&self) -> Limits;

    fn assigned<'a>(&'a self, partitions: &'a [Assigned]) -> Boxed<'a, Result<Starts, AssignError>>;

    fn table_positions(&self, app_id: &AppId) -> TablePositions;

    fn invoke(self: Arc<Self>, context: Arc<WorkerContext>, records: Vec<Record>) -> Boxed<'static, Vec<bool>>;

    fn start(self: Arc<Self>, context: Arc<WorkerContext>, runtime: Handle) -> Box<dyn Sink>;
}

//! The interface of the two kinds of services. It hides the handler's type, so that one list can hold all services.

use std::any::Any;
use std::sync::Arc;

use futures::future::BoxFuture;
use tokio::runtime::Handle;

use super::context::WorkerContext;
use crate::consume::{Limits, Sink};
use crate::handler::{AssignError, Assigned, Starts};
use xact_contracts::category::Category;
use xact_contracts::ids::AppId;
use xact_contracts::messages::Problem;
use xact_kafka::{Record, TablePositions};

/// A service without its handler's type.
pub(crate) trait Serve: Send + Sync + 'static {
    fn limits(&self) -> Limits;

    /// Passes the newly assigned partitions to the handler, and returns where it requires to start instead.
    fn assigned<'a>(&'a self, _: &'a [Assigned]) -> BoxFuture<'a, Result<Starts, AssignError>> {
        Box::pin(async { Ok(Starts::new()) })
    }

    /// Returns the positions of the stage's tables in an assigned partition; empty for a stage without tables.
    fn table_positions(&self, _: &AppId) -> TablePositions {
        TablePositions::new()
    }

    /// Works on records of a `POST /invoke` request. Returns for each whether it is done.
    fn invoke(self: Arc<Self>, context: Arc<WorkerContext>, records: Vec<Record>) -> BoxFuture<'static, Vec<bool>>;

    /// Starts the service's tasks on `runtime`, and returns where the consumer sends its records.
    fn start(self: Arc<Self>, context: Arc<WorkerContext>, runtime: Handle) -> Box<dyn Sink>;
}

/// Returns the problem for a panic of a handler: it becomes a dead letter and does not end the process, whose panic hook has
/// already logged it with its location.
pub(super) fn problem_of_panic(panic: &(dyn Any + Send)) -> Problem {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    let text = format!("the handler panicked on this message: {}", text.unwrap_or("no text"));
    Problem::new(Category::Permanent, text)
}

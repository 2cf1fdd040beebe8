//! The work on records: one by one ([`each`]) or in batches ([`batch`]), from Kafka or from `POST /invoke`.

mod batch;
mod context;
mod each;
mod panic;
mod serve;

pub(crate) use context::WorkerContext;

use std::sync::Arc;

use tokio::runtime::Handle;

use crate::consume::{Limits, Sink};
use crate::handler::{AssignError, Assigned, BatchHandler, Handler, Starts};
use batch::BatchService;
use each::EachService;
use serve::Serve;
use xact_config::BatchSettings;
use xact_contracts::ids::AppId;
use xact_kafka::{Record, TablePositions};

/// A stage's handler, ready to work on records.
#[derive(Clone)]
pub struct Service(Arc<dyn Serve>);

impl Service {
    /// Creates a service for a handler that takes its messages one by one.
    pub fn each<H: Handler>(handler: H, limits: Limits) -> Self {
        Self(EachService::new(handler, limits))
    }

    /// Creates a service for a handler that takes its messages in batches.
    pub fn batch<H: BatchHandler>(handler: H, batch: BatchSettings) -> Self {
        Self(BatchService::new(handler, batch))
    }

    pub(crate) fn limits(&self) -> Limits {
        self.0.limits()
    }

    /// Passes the newly assigned partitions to the handler, and returns where it requires to start instead.
    pub(crate) async fn assigned(&self, partitions: &[Assigned]) -> Result<Starts, AssignError> {
        self.0.assigned(partitions).await
    }

    /// Returns the positions of the stage's tables in an assigned partition; empty for a stage without tables.
    pub(crate) fn table_positions(&self, app_id: &AppId) -> TablePositions {
        self.0.table_positions(app_id)
    }

    /// Works on records of a `POST /invoke` request. Returns for each whether it is done.
    pub(crate) async fn invoke(&self, context: Arc<WorkerContext>, records: Vec<Record>) -> Vec<bool> {
        Arc::clone(&self.0).invoke(context, records).await
    }

    /// Starts the service's tasks on `runtime`, and returns where the consumer sends its records.
    pub(crate) fn start(&self, context: Arc<WorkerContext>, runtime: Handle) -> Box<dyn Sink> {
        Arc::clone(&self.0).start(context, runtime)
    }
}

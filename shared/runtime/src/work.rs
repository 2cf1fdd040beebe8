//! The work on records: one by one ([`each`]) or in batches ([`batch`]), from Kafka or from `POST /invoke`.

mod batch;
mod context;
mod each;
mod serve;

pub(crate) use context::WorkerContext;

use std::sync::Arc;

use crate::consume::Limits;
use crate::handler::{BatchHandler, Handler};
use batch::BatchService;
use each::EachService;
use serve::Serve;
use xact_config::BatchSettings;

/// A stage's handler, ready to work on records.
#[derive(Clone)]
pub struct Service(pub(crate) Arc<dyn Serve>);

impl Service {
    /// Creates a service for a handler that takes its messages one by one.
    pub fn each<H: Handler>(handler: H, limits: Limits) -> Self {
        Self(Arc::new(EachService { handler, limits }))
    }

    /// Creates a service for a handler that takes its messages in batches.
    pub fn batch<H: BatchHandler>(handler: H, batch: BatchSettings) -> Self {
        Self(Arc::new(BatchService { handler, batch }))
    }
}

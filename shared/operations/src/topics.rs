//! The topics: creating and listing them, and how far each group is behind.

mod lag;
mod lag_watch;

pub use lag::{GroupLag, LagAnswer, OldestRecord, PartitionLag};
pub use lag_watch::LagWatch;

use std::time::Duration;

use serde::Serialize;

use crate::blocking::blocking;
use xact_config::Settings;
use xact_kafka::admin::{AdminError, topics};

/// Time after which no further record is read for its age.
const OLDEST_TIMEOUT: Duration = Duration::from_secs(30);

/// The answer of [`create`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CreateAnswer {
    /// The topics that were missing.
    pub created: Vec<String>,
}

/// A topic of the pipeline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Topic {
    /// Its name.
    pub topic: String,
    /// Its partitions; `None`: it does not exist.
    pub partitions: Option<usize>,
    /// The partitions that it is created with.
    pub expected: i32,
}

/// Creates the topics that are missing.
///
/// # Errors
/// When a broker cannot be reached or refuses, and on Event Hubs, where the deployment creates topics.
pub async fn create(settings: &Settings) -> Result<CreateAnswer, AdminError> {
    let created = topics::create(settings).await?;
    Ok(CreateAnswer { created })
}

/// Lists all topics of the pipeline.
///
/// # Errors
/// When a broker cannot be reached.
pub async fn list(settings: &Settings) -> Result<Vec<Topic>, AdminError> {
    let settings = settings.clone();
    let states = blocking(move || topics::list(&settings)).await?;
    let topics = states.into_iter().map(|state| Topic {
        topic: state.name,
        partitions: state.partitions,
        expected: state.wanted,
    });
    Ok(topics.collect())
}

/// Returns how far each group is behind.
///
/// # Errors
/// When a broker cannot be reached.
pub async fn lag(settings: &Settings, oldest: OldestRecord) -> Result<LagAnswer, AdminError> {
    LagWatch::new(settings, OLDEST_TIMEOUT).read(oldest).await.1
}

//! The dead letters, of which a page reads only those that came since the page before.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Mutex;

use xact_config::Settings;
use xact_operations::OperationError;
use xact_operations::dead_letters::DeadLetterIndex;

/// A younger index is shown again: the pages of one moment read once.
const MAX_AGE: Duration = Duration::from_secs(1);

/// The index, read when a page needs it.
pub(super) struct DeadLetterCache {
    settings: Arc<Settings>,
    index: Arc<Mutex<(Option<Instant>, DeadLetterIndex)>>,
}

impl DeadLetterCache {
    pub(super) fn new(settings: Arc<Settings>) -> Self {
        Self {
            settings,
            index: Arc::default(),
        }
    }

    /// Returns what `read` finds in the index of now, or of a second ago.
    pub(super) async fn read<T: Send + 'static>(
        self: &Arc<Self>,
        read: impl FnOnce(&DeadLetterIndex) -> T + Send + 'static,
    ) -> Result<T, OperationError> {
        let cache = self.clone();
        // Waiting for another page takes no thread, and ends with the request.
        let mut held = self.index.clone().lock_owned().await;
        let reading = tokio::task::spawn_blocking(move || {
            let (read_at, index) = &mut *held;
            if !read_at.is_some_and(|at| at.elapsed() < MAX_AGE) {
                index.refresh(&cache.settings)?;
                *read_at = Some(Instant::now());
            }
            Ok(read(index))
        });
        reading
            .await
            .unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
    }
}

//! What a failure of the table layer means for the batch.

use std::panic::AssertUnwindSafe;

use futures::FutureExt;

use xact_lake::{TableError, TableErrorKind};
use xact_runtime::Unavailable;

/// Turns every table error into [`Unavailable`], so that the batch is kept and retried until the table works again.
///
/// The rows are valid, so none may be lost. The same holds for a panic in the table layer: its cause is the table or a
/// library, and treating it as a failure of the records would drop them.
pub(crate) async fn unavailable_on_error<T>(
    work: impl Future<Output = Result<T, TableError>>,
) -> Result<T, Unavailable> {
    match AssertUnwindSafe(work).catch_unwind().await {
        Ok(done) => done.map_err(|error| {
            let unavailable = Unavailable::new("delta", error.to_string());
            match error.kind {
                TableErrorKind::Restored { .. } => unavailable.reading_again(),
                _ => unavailable,
            }
        }),
        Err(_) => Err(Unavailable::new(
            "delta",
            "the table layer panicked; see the log for the panic message. The batch is kept and retried",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_in_the_table_layer_keeps_the_batch() {
        let panics = async { panic!("damaged file") };
        let error = unavailable_on_error::<()>(panics).await.unwrap_err();
        assert_eq!(error.dependency, "delta");
    }
}

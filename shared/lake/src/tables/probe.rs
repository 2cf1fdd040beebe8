//! The preflight of a table: may this process write there, and does the storage keep two writers apart?

use deltalake::logstore::object_store::{self, ObjectStoreExt, PutMode, path::Path};
use uuid::Uuid;

use crate::tables::error::TableError;
use crate::tables::rows::row::TableRow;
use crate::tables::table::Table;

impl<R: TableRow> Table<R> {
    /// Opens the table if it is there and compares its schema; then creates, refuses to create again, and deletes a
    /// small file beside it. The refusal is what commits rely on. Creates the folder, not the table.
    ///
    /// # Errors
    /// [`TableError`] with what to do about it.
    pub async fn probe(&self) -> Result<(), TableError> {
        let (store, at) = {
            let mut handle = self.handle.lock().await;
            let table = match handle.deltalake::<R>(&self.options).await? {
                Some(table) => table,
                None => handle.unloaded(&self.options)?,
            };
            (table.object_store(), handle.at.clone())
        };
        // A leading underscore hides it from every reader, should the delete fail.
        let path = Path::from(format!("_xact_probe_{}", Uuid::new_v4()));
        let create = || store.put_opts(&path, "probe".into(), PutMode::Create.into());
        create()
            .await
            .map_err(|error| TableError::unavailable(&at, "write a test file in the folder of", error))?;
        let again = create().await;
        let deleted = store.delete(&path).await;
        match again {
            Err(object_store::Error::AlreadyExists { .. }) => {}
            Ok(_) => {
                let reason = "the storage creates a file that is already there, so two writers could overwrite each other's commits";
                return Err(TableError::unavailable(&at, "trust the storage of", reason));
            }
            Err(error) => {
                return Err(TableError::unavailable(
                    &at,
                    "write a test file in the folder of",
                    error,
                ));
            }
        }
        deleted.map_err(|error| TableError::unavailable(&at, "delete a test file in the folder of", error))
    }
}

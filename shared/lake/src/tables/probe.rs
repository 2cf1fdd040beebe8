//! The preflight check of a table: whether this process can write there, and whether the storage prevents two writers from
//! committing the same version.

use deltalake::logstore::object_store::{self, ObjectStoreExt, PutMode, path::Path};
use uuid::Uuid;

use crate::tables::error::{TableError, TableErrorKind};
use crate::tables::rows::row::TableRow;
use crate::tables::table::Table;

const WRITE_TEST_FILE: &str = "write a test file in its folder";

impl<R: TableRow> Table<R> {
    /// Opens the table if it exists and checks its schema; then creates a small file in its folder, tries to create it
    /// again, and deletes it. The second creation must be refused, because commits rely on that. Creates the folder, but
    /// not the table.
    ///
    /// # Errors
    /// [`TableError`] with what to do about it.
    pub async fn probe(&self) -> Result<(), TableError> {
        self.located(self.probe_storage()).await
    }

    async fn probe_storage(&self) -> Result<(), TableErrorKind> {
        let mut handle = self.handle.lock().await;
        let store = match handle.loaded_table().await? {
            Some(table) => table.object_store(),
            None => handle.unloaded_table()?.object_store(),
        };
        drop(handle);
        // The leading underscore hides it from all readers, in case the delete fails.
        let path = Path::from(format!("_xact_probe_{}", Uuid::new_v4()));
        let create = || store.put_opts(&path, "probe".into(), PutMode::Create.into());
        let failed = |error| TableErrorKind::unavailable(WRITE_TEST_FILE, error);
        create().await.map_err(failed)?;
        let again = create().await;
        let deleted = store.delete(&path).await;
        match again {
            Err(object_store::Error::AlreadyExists { .. }) => {}
            Ok(_) => {
                let reason = "the storage creates a file that already exists, so two writers could overwrite each other's commits";
                return Err(TableErrorKind::unavailable("trust its storage", reason));
            }
            Err(error) => return Err(failed(error)),
        }
        deleted.map_err(|error| TableErrorKind::unavailable("delete a test file in its folder", error))
    }
}

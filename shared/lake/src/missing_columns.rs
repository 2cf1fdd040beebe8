//! Columns that a table of an earlier version of the pipeline lacks. They may be null; the first append adds them.

use std::collections::BTreeMap;

use deltalake::DeltaTable;
use deltalake::kernel::{Action, MetadataExt, StructField, StructType};
use deltalake::protocol::DeltaOperation;

use crate::commit::Contents;
use crate::{TableError, TableRow};

/// The commit that adds the columns of the rows that a table lacks, with null in the rows that it has; `None` if it lacks none.
/// It says the same as Spark's `ADD COLUMNS`: no file is touched, and earlier versions of the pipeline go on with the table.
pub(crate) fn addition<R: TableRow>(table: &DeltaTable, at: &str) -> Result<Option<Contents>, TableError> {
    let failed = |error| TableError::delta(at, "add columns to", &error);
    let snapshot = table.snapshot().map_err(failed)?;
    let schema = snapshot.schema();
    let mut fields: Vec<StructField> = R::delta_schema();
    fields.retain(|field| field.is_nullable() && schema.field(field.name()).is_none());
    if fields.is_empty() {
        return Ok(None);
    }
    let all = schema.fields().cloned().chain(fields.iter().cloned());
    let widened = StructType::try_new(all).map_err(|error| TableError::schema(at, error))?;
    let metadata = snapshot.metadata().clone().with_schema(&widened);
    let metadata = metadata.map_err(|error| failed(error.into()))?;
    Ok(Some(Contents {
        actions: vec![Action::Metadata(metadata)],
        advancing: BTreeMap::new(),
        operation: DeltaOperation::AddColumn { fields },
    }))
}

//! The schema of a table, and whether rows of a kind can be appended to it.

use std::sync::Arc;

use deltalake::DeltaTable;
use deltalake::arrow::array::{ArrayRef, RecordBatch, new_null_array};
use deltalake::arrow::compute::cast;
use deltalake::arrow::datatypes::{DataType, FieldRef, Schema, SchemaRef};
use deltalake::arrow::error::ArrowError;
use deltalake::kernel::engine::arrow_conversion::TryIntoArrow;
use deltalake::table::state::DeltaTableState;

use crate::tables::error::TableErrorKind;
use crate::tables::rows::row::{EVENT_DATE, TableRow, arrow_schema};

/// Returns the columns of a table as an arrow schema.
pub(crate) fn table_schema(table: &DeltaTable) -> Result<SchemaRef, TableErrorKind> {
    let snapshot = loaded(table)?;
    let schema: Result<Schema, ArrowError> = snapshot.schema().as_ref().try_into_arrow();
    Ok(Arc::new(schema.map_err(TableErrorKind::schema)?))
}

fn loaded(table: &DeltaTable) -> Result<&DeltaTableState, TableErrorKind> {
    let snapshot = table.snapshot();
    snapshot.map_err(|error| TableErrorKind::delta("read its schema", &error))
}

/// Refuses a table that rows of this kind cannot be appended to: another partitioning, a missing column, another type.
/// Columns that others have added are accepted if they are nullable. A later column of the rows that the table lacks is
/// added by the first append (see `missing_columns`).
pub(crate) fn check<R: TableRow>(table: &DeltaTable) -> Result<(), TableErrorKind> {
    let partitions = loaded(table)?.metadata().partition_columns();
    if !partitions.iter().eq([EVENT_DATE]) {
        let reason = format!("it is partitioned by {partitions:?} and not by {EVENT_DATE}");
        return Err(TableErrorKind::schema(reason));
    }
    let ours = arrow_schema::<R>().map_err(TableErrorKind::schema)?;
    let theirs = table_schema(table)?;
    let is_checked = |field: &&FieldRef| {
        !R::ADDED_LATER.contains(&field.name().as_str()) || theirs.field_with_name(field.name()).is_ok()
    };
    let checked: Vec<FieldRef> = ours.fields().iter().filter(is_checked).cloned().collect();
    let empty = RecordBatch::new_empty(Arc::new(Schema::new(checked)));
    conform(&empty, &theirs).map(|_| ())
}

/// Returns the batch in the table's column order, with nulls for columns that it does not have.
pub(crate) fn conform(batch: &RecordBatch, table: &SchemaRef) -> Result<RecordBatch, TableErrorKind> {
    let mut fields = batch.schema_ref().fields().iter();
    if let Some(missing) = fields.find(|field| table.field_with_name(field.name()).is_err()) {
        return Err(TableErrorKind::schema(format!("it has no column {:?}", missing.name())));
    }
    let column = |field: &FieldRef| -> Result<ArrayRef, TableErrorKind> {
        match batch.column_by_name(field.name()) {
            Some(column) if column.data_type() == field.data_type() => Ok(Arc::clone(column)),
            // After ALTER COLUMN … TYPE BIGINT: every value fits.
            Some(column) if (column.data_type(), field.data_type()) == (&DataType::Int32, &DataType::Int64) => {
                cast(column, &DataType::Int64).map_err(TableErrorKind::schema)
            }
            Some(column) => Err(TableErrorKind::schema(format!(
                "its column {:?} has the type {}, and that of the rows has {}",
                field.name(),
                field.data_type(),
                column.data_type()
            ))),
            None if field.is_nullable() => Ok(new_null_array(field.data_type(), batch.num_rows())),
            None => Err(TableErrorKind::schema(format!(
                "its column {:?} must not be null, and the rows do not have it",
                field.name()
            ))),
        }
    };
    let columns = table.fields().iter().map(column).collect::<Result<Vec<_>, _>>()?;
    RecordBatch::try_new(Arc::clone(table), columns).map_err(TableErrorKind::schema)
}

/// Returns a column in the type that the table declares, regardless of the physical type in the file.
pub(crate) fn as_declared(column: &ArrayRef, schema: &Schema, name: &str) -> Result<ArrayRef, ArrowError> {
    cast(column, schema.field_with_name(name)?.data_type())
}

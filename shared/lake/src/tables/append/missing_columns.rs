//! Adds the columns that a table of an earlier version of the pipeline lacks. They are nullable.

use deltalake::DeltaTable;
use deltalake::kernel::{Action, MetadataExt, StructField, StructType};
use deltalake::protocol::DeltaOperation;

use crate::tables::commit::change::Contents;
use crate::tables::error::TableErrorKind;
use crate::tables::rows::row::TableRow;

/// Returns the commit that adds the later columns that the table lacks; they are null in its rows. `None` if it lacks
/// none. Other missing columns are not added, because such a table is a table of other rows.
///
/// The commit is the same as that of Spark's `ADD COLUMNS`: no data file is changed, and earlier versions of the pipeline
/// can still use the table.
pub(crate) fn addition<R: TableRow>(table: &DeltaTable) -> Result<Option<Contents>, TableErrorKind> {
    let failed = |error| TableErrorKind::delta("add columns to it", &error);
    let snapshot = table.snapshot().map_err(failed)?;
    let schema = snapshot.schema();
    let mut fields: Vec<StructField> = R::delta_schema();
    fields.retain(|field| R::ADDED_LATER.contains(&field.name().as_str()) && schema.field(field.name()).is_none());
    if fields.is_empty() {
        return Ok(None);
    }
    let all = schema.fields().cloned().chain(fields.iter().cloned());
    let widened = StructType::try_new(all).map_err(TableErrorKind::schema)?;
    let metadata = snapshot.metadata().clone().with_schema(&widened);
    let metadata = metadata.map_err(|error| failed(error.into()))?;
    Ok(Some(Contents::without_positions(
        vec![Action::Metadata(metadata)],
        DeltaOperation::AddColumn { fields },
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tables::rows::{AttachmentRow, EventRow, FailedRow};

    #[test]
    fn a_later_column_belongs_to_the_rows_and_is_nullable() {
        fn check<R: TableRow>() {
            let schema = R::delta_schema();
            for later in R::ADDED_LATER {
                let field = schema.iter().find(|field| field.name() == later);
                assert!(field.is_some_and(StructField::is_nullable), "{}: {later}", R::NAME);
            }
        }
        check::<EventRow>();
        check::<AttachmentRow>();
        check::<FailedRow>();
    }
}

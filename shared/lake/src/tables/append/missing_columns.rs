//! Columns that a table of an earlier version of the pipeline lacks. They may be null; the first append adds them.

use std::collections::BTreeMap;

use deltalake::DeltaTable;
use deltalake::kernel::{Action, MetadataExt, StructField, StructType};
use deltalake::protocol::DeltaOperation;

use crate::tables::commit::attempt::Contents;
use crate::tables::error::TableError;
use crate::tables::rows::row::TableRow;

/// The commit that adds the later columns of the rows that a table lacks, with null in the rows that it has; `None` if it
/// lacks none. A table without another column is not widened: it is the table of other rows.
///
/// The commit says the same as Spark's `ADD COLUMNS`: no file is touched, and earlier versions of the pipeline go on with
/// the table.
pub(crate) fn addition<R: TableRow>(table: &DeltaTable, at: &str) -> Result<Option<Contents>, TableError> {
    let failed = |error| TableError::delta(at, "add columns to", &error);
    let snapshot = table.snapshot().map_err(failed)?;
    let schema = snapshot.schema();
    let mut fields: Vec<StructField> = R::delta_schema();
    fields.retain(|field| R::ADDED_LATER.contains(&field.name().as_str()) && schema.field(field.name()).is_none());
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tables::rows::attachments::AttachmentRow;
    use crate::tables::rows::events::EventRow;
    use crate::tables::rows::failed::FailedRow;

    #[test]
    fn a_later_column_is_one_of_the_rows_and_may_be_null() {
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

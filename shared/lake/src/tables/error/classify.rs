//! Classifies the errors of deltalake, its kernel and parquet.
//!
//! What is not known for certain is classified as unavailable storage: waiting does no harm, giving up would.

use std::error::Error;
use std::iter;

use deltalake::DeltaTableError;
use deltalake::kernel::transaction::TransactionError;
use deltalake::logstore::object_store;
use deltalake::parquet::errors::ParquetError;

use crate::tables::error::TableErrorKind;

/// Beginnings of kernel messages about a table that needs another program.
const SCHEMA_MESSAGES: [&str; 3] = ["Unsupported: ", "Schema error: ", "Invalid column mapping mode: "];
/// Beginnings of kernel messages about a log that cannot be read.
const CORRUPT_MESSAGES: [&str; 8] = [
    "Json error: ",
    "Parser error: ",
    "Arrow error: Parquet error: ",
    "Invalid protocol action",
    "Invalid Checkpoint",
    "Invalid log path",
    "No table metadata",
    "No protocol found",
];

impl TableErrorKind {
    /// Classifies an error of deltalake.
    pub(crate) fn delta(action: &'static str, error: &DeltaTableError) -> Self {
        match error {
            DeltaTableError::SchemaMismatch { .. }
            | DeltaTableError::UnsupportedColumnMapping { .. }
            | DeltaTableError::Transaction {
                source:
                    TransactionError::UnsupportedTableFeatures(_)
                    | TransactionError::TableFeaturesRequired(_)
                    | TransactionError::DeltaTableAppendOnly,
            } => Self::schema(error),
            DeltaTableError::InvalidJsonLog { .. }
            | DeltaTableError::InvalidStatsJson { .. }
            | DeltaTableError::MetadataError(_)
            | DeltaTableError::NoSchema => Self::corrupt(error),
            _ => Self::by_cause(action, error),
        }
    }

    /// Classifies an error of reading a data file that the log names.
    pub(crate) fn parquet(file: &str, error: &ParquetError) -> Self {
        match causes(error).find_map(|cause| cause.downcast_ref::<object_store::Error>()) {
            Some(object_store::Error::NotFound { .. }) => {
                Self::corrupt(format!("{file} is in its log but not in the storage"))
            }
            Some(_) => Self::unavailable("read a data file", format!("{file}: {error}")),
            // The footer or a page is not valid.
            None => Self::corrupt(format!("{file}: {error}")),
        }
    }

    /// Classifies an error by what caused it. deltalake and its kernel wrap causes at several depths, so the chain is
    /// searched.
    fn by_cause(action: &'static str, error: Cause<'_>) -> Self {
        let text = error.to_string();
        // The kernel appends its backtrace.
        let text = text.lines().next().unwrap_or_default();
        for cause in causes(error) {
            if cause.is::<object_store::Error>() || cause.is::<std::io::Error>() {
                return Self::unavailable(action, text);
            }
            if cause.is::<serde_json::Error>() {
                return Self::corrupt(text);
            }
        }
        Self::by_kernel_message(text).unwrap_or_else(|| Self::unavailable(action, text))
    }

    /// Classifies an error of the kernel by its message: the one fragile place. deltalake does not export the kernel's
    /// error type, so its variants cannot be matched. A test makes each of these errors with the version of the kernel
    /// in use, so that an upgrade that changes a message is noticed.
    fn by_kernel_message(text: &str) -> Option<Self> {
        let message = text.strip_prefix("Kernel error: ")?;
        let starts_with_any = |beginnings: &[&str]| beginnings.iter().any(|start| message.starts_with(start));
        if starts_with_any(&SCHEMA_MESSAGES) {
            return Some(Self::schema(message));
        }
        starts_with_any(&CORRUPT_MESSAGES).then(|| Self::corrupt(message))
    }
}

type Cause<'a> = &'a (dyn Error + 'static);

/// The error and its causes, outermost first.
fn causes(error: Cause<'_>) -> impl Iterator<Item = Cause<'_>> {
    iter::successors(Some(error), |&error| error.source())
}

#[cfg(test)]
mod tests {
    use buoyant_kernel::Error as KernelError;
    use deltalake::arrow::error::ArrowError;

    use super::*;

    fn classified(error: KernelError) -> TableErrorKind {
        TableErrorKind::delta("read its log", &DeltaTableError::KernelError(error))
    }

    #[test]
    fn every_known_message_is_one_of_the_kernel_in_use() {
        let schema = [
            KernelError::Unsupported("feature".to_owned()),
            KernelError::Schema("column".to_owned()),
            KernelError::InvalidColumnMappingMode("mode".to_owned()),
        ];
        let corrupt = [
            ArrowError::JsonError("line 1".to_owned()).into(),
            ArrowError::ParseError("number".to_owned()).into(),
            ParquetError::General("footer".to_owned()).into(),
            KernelError::InvalidProtocol("version".to_owned()),
            KernelError::InvalidCheckpoint("part".to_owned()),
            KernelError::InvalidLogPath("name".to_owned()),
            KernelError::MissingMetadata,
            KernelError::MissingProtocol,
        ];
        assert_eq!(schema.len(), SCHEMA_MESSAGES.len());
        assert_eq!(corrupt.len(), CORRUPT_MESSAGES.len());
        for kind in schema.map(classified) {
            assert!(matches!(kind, TableErrorKind::Schema(_)), "{kind}");
        }
        for kind in corrupt.map(classified) {
            assert!(matches!(kind, TableErrorKind::Corrupt(_)), "{kind}");
        }
    }

    #[test]
    fn an_unknown_error_is_transient() {
        assert!(classified(KernelError::Generic("new".to_owned())).is_transient());
    }
}

//! Maps the fields of a Rust struct to Delta columns: type, nullability, and values as an arrow array.

use std::sync::Arc;

use deltalake::arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Float64Array, Int32Array, Int64Array, StringArray, TimestampMicrosecondArray,
};
use deltalake::kernel::{DataType, StructField};
use jiff::Timestamp;
use jiff::civil::Date;

/// A type of a row's field.
pub(crate) trait Column: Sized {
    const TYPE: DataType;
    const NULLABLE: bool;

    fn array<'a>(values: impl Iterator<Item = &'a Self>) -> ArrayRef
    where
        Self: 'a;

    /// Returns the column in Delta's schema.
    fn field(name: &str) -> StructField {
        StructField::new(name, Self::TYPE, Self::NULLABLE)
    }
}

/// Implements [`Column`] for a type, which is not nullable, and for the option of it, which is.
macro_rules! column {
    ($rust:ty, $delta:ident, $convert:expr, $array:expr) => {
        impl Column for $rust {
            const TYPE: DataType = DataType::$delta;
            const NULLABLE: bool = false;

            fn array<'a>(values: impl Iterator<Item = &'a Self>) -> ArrayRef {
                Arc::new($array(values.map($convert).map(Some).collect::<Vec<_>>()))
            }
        }

        impl Column for Option<$rust> {
            const TYPE: DataType = DataType::$delta;
            const NULLABLE: bool = true;

            fn array<'a>(values: impl Iterator<Item = &'a Self>) -> ArrayRef {
                let values = values.map(|value| value.as_ref().map($convert));
                Arc::new($array(values.collect::<Vec<_>>()))
            }
        }
    };
}

column!(String, STRING, String::as_str, StringArray::from);
column!(i64, LONG, |value| *value, Int64Array::from);
column!(i32, INTEGER, |value| *value, Int32Array::from);
column!(f64, DOUBLE, |value| *value, Float64Array::from);
column!(bool, BOOLEAN, |value| *value, BooleanArray::from);
column!(Timestamp, TIMESTAMP, |value| value.as_microsecond(), utc);
column!(Date, DATE, |value| days_since_epoch(*value), Date32Array::from);

fn utc(values: Vec<Option<i64>>) -> TimestampMicrosecondArray {
    TimestampMicrosecondArray::from(values).with_timezone("UTC")
}

/// Returns the days since 1970-01-01, as arrow and Delta count dates.
pub(crate) fn days_since_epoch(date: Date) -> i32 {
    let hours = date.duration_since(jiff::civil::date(1970, 1, 1)).as_hours();
    // jiff's dates span the years -9999 to 9999: fewer than four million days either way.
    i32::try_from(hours / 24).unwrap_or_default()
}

/// Declares a struct whose fields are the table's columns, in the table's order.
macro_rules! table_row {
    (
        $(#[$doc:meta])*
        pub struct $name:ident { $( $(#[$field_doc:meta])* pub $field:ident: $type:ty, )* }
        impl TableRow { $($item:item)* }
    ) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq)]
        pub struct $name { $( $(#[$field_doc])* pub $field: $type, )* }

        impl $crate::tables::rows::row::TableRow for $name {
            $($item)*

            fn delta_schema() -> Vec<deltalake::kernel::StructField> {
                use $crate::tables::rows::columns::Column;
                // A column named like a Rust keyword (`type`) has a raw identifier.
                vec![$( <$type>::field(stringify!($field).trim_start_matches("r#")), )*]
            }

            fn event_date(&self) -> jiff::civil::Date {
                self.event_date
            }

            fn to_record_batch(
                rows: &[&Self],
            ) -> Result<deltalake::arrow::array::RecordBatch, deltalake::arrow::error::ArrowError> {
                use $crate::tables::rows::columns::Column;
                let columns = vec![$( <$type>::array(rows.iter().map(|row| &row.$field)), )*];
                let schema = $crate::tables::rows::row::arrow_schema::<Self>()?;
                deltalake::arrow::array::RecordBatch::try_new(schema, columns)
            }
        }
    };
}
pub(crate) use table_row;

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    #[test]
    fn days_are_counted_from_1970_in_both_directions() {
        assert_eq!(days_since_epoch(date(1970, 1, 1)), 0);
        assert_eq!(days_since_epoch(date(1969, 12, 31)), -1);
        assert_eq!(days_since_epoch(date(2024, 12, 31)), 20_088);
        assert_eq!(days_since_epoch(date(9999, 12, 31)), 2_932_896);
        assert_eq!(days_since_epoch(date(-9999, 1, 1)), -4_371_587);
    }
}

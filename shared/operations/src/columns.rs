//! Values in a scanned table. A null, or a column of another type, reads as a default that no comparison takes for a real value.

use jiff::civil::Date;
use jiff::{Span, Timestamp};

use xact_contracts::time;
use xact_lake::arrow::array::{Array, AsArray, RecordBatch};
use xact_lake::arrow::datatypes::{Date32Type, Float64Type, Int32Type, Int64Type, TimestampMicrosecondType};

/// Returns a text; empty for none.
#[must_use]
pub fn text<'a>(batch: &'a RecordBatch, column: &str, row: usize) -> &'a str {
    batch
        .column_by_name(column)
        .and_then(|column| column.as_string_opt::<i32>())
        .filter(|column| column.is_valid(row))
        .map_or("", |column| column.value(row))
}

/// Returns a 32-bit number; 0 for none.
#[must_use]
pub fn number(batch: &RecordBatch, column: &str, row: usize) -> i32 {
    batch
        .column_by_name(column)
        .and_then(|column| column.as_primitive_opt::<Int32Type>())
        .filter(|column| column.is_valid(row))
        .map_or(0, |column| column.value(row))
}

/// Returns a size; -1 for none.
#[must_use]
pub fn size(batch: &RecordBatch, column: &str, row: usize) -> i64 {
    batch
        .column_by_name(column)
        .and_then(|column| column.as_primitive_opt::<Int64Type>())
        .filter(|column| column.is_valid(row))
        .map_or(-1, |column| column.value(row))
}

/// Returns a time; the Unix epoch for none.
#[must_use]
pub fn instant(batch: &RecordBatch, column: &str, row: usize) -> Timestamp {
    batch
        .column_by_name(column)
        .and_then(|column| column.as_primitive_opt::<TimestampMicrosecondType>())
        .filter(|column| column.is_valid(row))
        .and_then(|column| Timestamp::from_microsecond(column.value(row)).ok())
        .map_or(Timestamp::UNIX_EPOCH, time::to_microseconds)
}

/// Returns a date; the Unix epoch for none.
#[must_use]
pub fn date(batch: &RecordBatch, column: &str, row: usize) -> Date {
    let epoch = Date::constant(1970, 1, 1);
    batch
        .column_by_name(column)
        .and_then(|column| column.as_primitive_opt::<Date32Type>())
        .filter(|column| column.is_valid(row))
        .and_then(|column| Span::new().try_days(column.value(row)).ok())
        .map_or(epoch, |days| epoch.saturating_add(days))
}

/// Returns whether something holds; false for none.
#[must_use]
pub fn flag(batch: &RecordBatch, column: &str, row: usize) -> bool {
    batch
        .column_by_name(column)
        .and_then(|column| column.as_boolean_opt())
        .is_some_and(|column| column.is_valid(row) && column.value(row))
}

/// Returns a number with a fraction, if there is one.
#[must_use]
pub fn optional_float(batch: &RecordBatch, column: &str, row: usize) -> Option<f64> {
    batch
        .column_by_name(column)
        .and_then(|column| column.as_primitive_opt::<Float64Type>())
        .filter(|column| column.is_valid(row))
        .map(|column| column.value(row))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use xact_lake::arrow::array::{ArrayRef, Int32Array, Int64Array, TimestampMicrosecondArray};
    use xact_lake::arrow::buffer::NullBuffer;

    #[test]
    fn a_null_is_read_as_the_default_whatever_is_stored_in_its_place() {
        let null = || Some(NullBuffer::from(vec![false]));
        let columns: [(&str, ArrayRef); 3] = [
            ("number", Arc::new(Int32Array::new(vec![404].into(), null()))),
            ("size", Arc::new(Int64Array::new(vec![404].into(), null()))),
            (
                "instant",
                Arc::new(TimestampMicrosecondArray::new(vec![404].into(), null())),
            ),
        ];
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        assert_eq!((number(&batch, "number", 0), size(&batch, "size", 0)), (0, -1));
        assert_eq!(instant(&batch, "instant", 0), Timestamp::UNIX_EPOCH);
    }
}

"""Does to a Delta table what a fault would: for tests that such faults are found.

    change_rows.py delete TABLE PREDICATE
    change_rows.py copy TABLE TRACE_ID [COLUMN=VALUE]...     copies a row, with other values in some text columns
"""

import sys

import polars
from deltalake import DeltaTable, write_deltalake


def main() -> None:
    match sys.argv[1:]:
        case ["delete", path, predicate]:
            deleted = DeltaTable(path).delete(predicate)["num_deleted_rows"]
            if deleted != 1:
                sys.exit(f"change_rows.py: {predicate} deleted {deleted} rows of {path}, not one")
        case ["copy", path, trace_id, *changes]:
            rows = polars.read_delta(path).filter(polars.col("trace_id") == trace_id)
            if rows.height != 1:
                sys.exit(f"change_rows.py: {path} has {rows.height} rows of {trace_id}, not one")
            for column, value in (change.split("=", 1) for change in changes):
                rows = rows.with_columns(polars.lit(value).alias(column))
            write_deltalake(path, rows.to_arrow(), mode="append")
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main()

"""Appends rows to `xact_attachments` as somebody else's program would, one a commit, for a while; prints how many.

    append_rows.py PATH SECONDS
"""

import sys
import time

import pyarrow
from deltalake import DeltaTable, write_deltalake


def main() -> None:
    path, seconds = sys.argv[1], float(sys.argv[2])
    end = time.monotonic() + seconds
    # Like a row that is there, but for its key.
    row = DeltaTable(path).to_pyarrow_table().slice(0, 1)
    key = row.schema.get_field_index("media_id")
    rows = 0
    while time.monotonic() < end:
        row = row.set_column(key, row.schema.field(key), pyarrow.array([f"foreign-{rows}"]))
        write_deltalake(path, row, mode="append")
        rows += 1
        time.sleep(0.2)
    print(rows)


if __name__ == "__main__":
    main()

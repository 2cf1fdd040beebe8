"""Delta tables on the emulator, through deltalake and polars: `delta.py URL by-name by-guid`."""

import sys
import threading

import polars
import pyarrow
from deltalake import DeltaTable, write_deltalake

endpoint, *tables = sys.argv[1:]
options = {"azure_endpoint": endpoint, "allow_http": "true", "bearer_token": "token-of-the-tests"}
by_name, by_guid = (table.replace("WORKSPACE", "onelake.dfs.fabric.microsoft.com") for table in tables)


def rows(table):
    return sorted(DeltaTable(table, storage_options=options).to_pyarrow_table().to_pylist(), key=lambda row: row["n"])


def data(*numbers, date="2025-01-31"):
    return pyarrow.table({"event_date": [date] * len(numbers), "n": pyarrow.array(numbers, pyarrow.int64())})


write_deltalake(by_name, data(1, 2), partition_by=["event_date"], storage_options=options)
write_deltalake(by_guid, data(3, date="a b%/:ä"), mode="append", storage_options=options)
expected = [{"event_date": "2025-01-31", "n": 1}, {"event_date": "2025-01-31", "n": 2}, {"event_date": "a b%/:ä", "n": 3}]
assert rows(by_name) == rows(by_guid) == expected, rows(by_name)

frame = polars.DataFrame({"event_date": ["2025-02-01"], "n": [4]})
frame.write_delta(by_name, mode="append", storage_options=options)
assert polars.read_delta(by_guid, storage_options=options).sort("n")["n"].to_list() == [1, 2, 3, 4]
lazy = polars.scan_delta(by_name, storage_options=options).filter(polars.col("event_date") == "2025-02-01")
assert lazy.collect()["n"].to_list() == [4]

# Writers that want the same version: a conflict shows as 409, and each comes through in the end.
before = DeltaTable(by_name, storage_options=options).version()
WRITERS, APPENDS = 6, 4
barrier = threading.Barrier(WRITERS)
failed = []


def write(writer):
    try:
        for append in range(APPENDS):
            barrier.wait(60)
            write_deltalake(by_name, data(1000 + writer * 100 + append), mode="append", storage_options=options)
    except Exception as error:  # noqa: BLE001: it is shown below, and fails the script
        failed.append(error)
        barrier.abort()


threads = [threading.Thread(target=write, args=(writer,)) for writer in range(WRITERS)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
assert not failed, failed
table = DeltaTable(by_name, storage_options=options)
assert table.version() == before + WRITERS * APPENDS, table.version()
numbers = [row["n"] for row in rows(by_name)]
assert len(numbers) == len(set(numbers)) == 4 + WRITERS * APPENDS, numbers

# Many deletes at once are a batch, which OneLake refuses.
write_deltalake(by_name, data(5), mode="overwrite", storage_options=options)
try:
    DeltaTable(by_name, storage_options=options).vacuum(0, dry_run=False, enforce_retention_duration=False)
    raise SystemExit("a vacuum got through, which OneLake would have refused")
except OSError as error:
    assert "bulk delete" in str(error) and "400 Bad Request" in str(error), error

"""Stands in for kafka-delta-ingest in the test of `tests/bench --peer`: the same command line, by kcat and deltalake.

With STAND_IN=ends it ends after its first batch, with an error.
"""

import argparse
import datetime
import json
import os
import re
import subprocess
import sys
import time

if sys.argv[1:] == ["--version"]:
    print("kafka-delta-ingest 0.0.0-stand-in")
    sys.exit()

import pyarrow
from deltalake import DeltaTable, write_deltalake


def arguments() -> argparse.Namespace:
    """The part of its command line that `tests/bench` uses."""
    parser = argparse.ArgumentParser()
    ingest = parser.add_subparsers(required=True).add_parser("ingest")
    ingest.add_argument("topic")
    ingest.add_argument("table")
    ingest.add_argument("-k", dest="broker", required=True)
    ingest.add_argument("-g", dest="group", required=True)
    ingest.add_argument("-a", dest="app_id", required=True)
    ingest.add_argument("-l", dest="seconds", type=int, required=True)
    ingest.add_argument("-m", dest="messages", type=int, required=True)
    ingest.add_argument("-b", dest="min_bytes", type=int, required=True)
    ingest.add_argument("-c", dest="checkpoints", action="store_true")
    ingest.add_argument("-t", dest="transforms", action="append", default=[])
    return parser.parse_args()


def transform(row: dict, text: str) -> None:
    """Applies `NAME: substr(SOURCE,`FROM`,`LENGTH`)`."""
    name, source, first, length = re.fullmatch(r"(\w+): substr\((\w+),`(\d+)`,`(\d+)`\)", text).groups()
    row[name] = row[source][int(first) : int(first) + int(length)]


def value(text: object, kind: pyarrow.DataType) -> object:
    """The value of a column of this type."""
    if text is None:
        return None
    if pyarrow.types.is_timestamp(kind):
        return datetime.datetime.fromisoformat(text)
    if pyarrow.types.is_date(kind):
        return datetime.date.fromisoformat(text)
    return text


def main() -> None:
    args = arguments()
    schema = pyarrow.schema(DeltaTable(args.table).schema().to_arrow())
    read = ["kcat", "-C", "-b", args.broker, "-t", args.topic, "-o", "beginning", "-e", "-q", "-f", "%s\n"]
    rows = []
    for line in subprocess.run(read, check=True, capture_output=True, text=True).stdout.splitlines():
        row = json.loads(line)
        for text in args.transforms:
            transform(row, text)
        rows.append({field.name: value(row.get(field.name), field.type) for field in schema})
    for first in range(0, len(rows), args.messages):
        batch = pyarrow.Table.from_pylist(rows[first : first + args.messages], schema)
        write_deltalake(args.table, batch, mode="append")
        if os.environ.get("STAND_IN") == "ends":
            sys.exit("the table has gone")
    # The real one waits for further messages.
    time.sleep(3600)


main()

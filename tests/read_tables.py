"""Reads the pipeline's Delta tables as its users do, with deltalake and with polars, and prints their rows as JSON.

Neither reader shares code with the pipeline's tests. On the way it checks what is promised to every reader: the two
libraries see the same rows; columns, their order and types, and the partition column are as documented; each key is
there once. A broken promise ends it with a message on stderr and exit code 1.

    read_tables.py --events PATH --attachments PATH --failed PATH --reconciliation PATH [--allow-missing] [--allow-duplicates]
"""

import argparse
import datetime
import json
import sys
from typing import NamedTuple

import polars
from deltalake import DeltaTable


class Table(NamedTuple):
    """What is promised of a table: its columns in order with their Delta types, and what makes a row unique."""

    columns: list[tuple[str, str]]
    key: list[str]


def columns(**names_by_type: str) -> list[tuple[str, str]]:
    """`string="a b", date="c"` as `[("a", "string"), ("b", "string"), ("c", "date")]`."""
    return [(name, kind.rstrip("_")) for kind, names in names_by_type.items() for name in names.split()]


# A trailing underscore lets a type come again further on in the order of the columns.
TABLES = {
    "xact_events": Table(
        columns(
            string="event_id trace_id type status_subtype version",
            date="event_date",
            timestamp="event_timestamp ingested_at",
            string_="""
                description assignment_id original_assignment_id xn_address carrier_id estimate_version note author
                sender_reviewer_name sender_reviewer_email carrier_reviewer_name carrier_reviewer_email
                event_datetime_mdt attachments claim_number contact_type contact_name contact_phone_type
                contact_phone_number contact_phone_extension contact_email_address source_system raw_json
            """,
        ),
        key=["event_id"],
    ),
    "xact_attachments": Table(
        columns(
            string="""
                media_id trace_id attachment_url blob_path file_type status_subtype assignment_id content_type
                declared_content_type sha256
            """,
            long="bytes_downloaded",
            integer="retry_count",
            timestamp="downloaded_at created_at",
            date="event_date",
        ),
        key=["media_id"],
    ),
    "xact_attachments_failed": Table(
        columns(
            string="""
                media_id trace_id attachment_url status_subtype assignment_id error_category error_message
            """,
            integer="http_status retry_count replay_count",
            timestamp="failed_at created_at",
            date="event_date",
        ),
        key=["media_id", "replay_count"],
    ),
    "xact_reconciliation": Table(
        columns(
            string="reconciliation_id",
            date="event_date",
            timestamp="checked_at",
            long="""
                events events_waiting events_by_table_alone attachments completed failed waiting missing duplicate
                unreadable unlisted
            """,
            boolean="well",
            double="cu_seconds",
            string_="program_version",
        ),
        key=["reconciliation_id"],
    ),
}


def demand(so: bool, message: str) -> None:
    """Ends the script with `message` unless `so`. Not `assert`, which `python -O` removes."""
    if not so:
        sys.exit(f"read_tables.py: {message}")


def read(name: str, path: str, allow_missing: bool, allow_duplicates: bool) -> list[dict]:
    """The rows of the table `name` at `path`, checked."""
    if not DeltaTable.is_deltatable(path):
        demand(allow_missing, f"{name}: there is no Delta table at {path}")
        return []
    table = DeltaTable(path)
    check_schema(name, table)
    by_deltalake = polars.from_arrow(table.to_pyarrow_table())
    # The same version: the pipeline may write on while it is read.
    by_polars = polars.read_delta(path, version=table.version())
    check_rows(name, by_deltalake, by_polars, allow_duplicates)
    return by_polars.to_dicts()


def check_schema(name: str, table: DeltaTable) -> None:
    """Columns, order, types, partitions."""
    promised = TABLES[name].columns
    found = [(field.name, str(field.type.type)) for field in table.schema().fields]
    for column, kind in promised:
        demand((column, kind) in found, f"{name}: {column} should be a {kind}, found {dict(found).get(column)}")
    extra = [column for column, _ in found if column not in dict(promised)]
    demand(not extra, f"{name}: columns that nobody promised: {extra}")
    demand(found == promised, f"{name}: the order of the columns is {[column for column, _ in found]}")
    partitions = table.metadata().partition_columns
    demand(partitions == ["event_date"], f"{name}: should be partitioned by event_date, is by {partitions}")


def check_rows(name: str, by_deltalake: polars.DataFrame, by_polars: polars.DataFrame, allow_duplicates: bool) -> None:
    """The readers agree, and the keys are unique."""
    key = TABLES[name].key
    counts = (by_deltalake.height, by_polars.height)
    demand(counts[0] == counts[1], f"{name}: deltalake reads {counts[0]} rows, polars {counts[1]}")
    order = [column for column, _ in TABLES[name].columns]
    # By every column: rows of one key must stand in the same order.
    by = key + [column for column in order if column not in key]
    one, other = (frame.select(order).sort(by) for frame in (by_deltalake, by_polars))
    for column in key:
        demand(other[column].null_count() == 0, f"{name}: rows without {column}")
    duplicates = other.filter(other.select(key).is_duplicated()).select(key).unique()
    demand(allow_duplicates or duplicates.is_empty(), f"{name}: {duplicates.height} keys {key} more than once, such as {duplicates.rows()[:3]}")
    for column in order:
        demand(one[column].equals(other[column]), f"{name}: deltalake and polars read different values of {column}")


def text(value: object) -> str:
    """Timestamps as RFC 3339 in UTC with microseconds, dates as YYYY-MM-DD."""
    if isinstance(value, datetime.datetime):
        utc = value.astimezone(datetime.timezone.utc)
        return utc.isoformat(timespec="microseconds").replace("+00:00", "Z")
    if isinstance(value, datetime.date):
        return value.isoformat()
    raise TypeError(f"no JSON form for {type(value)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", required=True, metavar="PATH")
    parser.add_argument("--attachments", required=True, metavar="PATH")
    parser.add_argument("--failed", required=True, metavar="PATH")
    parser.add_argument("--reconciliation", required=True, metavar="PATH")
    parser.add_argument("--allow-missing", action="store_true", help="a table that does not exist has no rows")
    parser.add_argument("--allow-duplicates", action="store_true", help="keys that come twice are the caller's to count")
    given = parser.parse_args()
    paths = {
        "xact_events": given.events,
        "xact_attachments": given.attachments,
        "xact_attachments_failed": given.failed,
        "xact_reconciliation": given.reconciliation,
    }
    rows = {name: read(name, path, given.allow_missing, given.allow_duplicates) for name, path in paths.items()}
    json.dump(rows, sys.stdout, default=text)


if __name__ == "__main__":
    main()

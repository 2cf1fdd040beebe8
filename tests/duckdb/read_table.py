"""Reads a Delta table with DuckDB and prints, as JSON, every row, the minimum and maximum of every column, and the rows of each date.

    read_table.py TABLE
"""

import datetime
import json
import sys
from pathlib import Path

import duckdb
import duckdb_ext

EPOCH = datetime.datetime(1970, 1, 1)


def extension() -> Path:
    """The Delta extension, which is a package of its own: nothing is fetched at run time."""
    (folder,) = duckdb_ext.__path__
    (found,) = Path(folder).glob("extensions/*/*/delta.duckdb_extension")
    return found


def plain(value: object) -> object:
    return value.isoformat() if isinstance(value, datetime.date) else value


def instant(microseconds: int | None) -> str | None:
    """An instant as RFC 3339 in UTC with microseconds. DuckDB's own form needs a package of time zones."""
    if microseconds is None:
        return None
    return (EPOCH + datetime.timedelta(microseconds=microseconds)).strftime("%Y-%m-%dT%H:%M:%S.%f").rjust(26, "0") + "Z"


def main() -> None:
    path = sys.argv[1].replace("'", "''")
    database = duckdb.connect(config={"autoinstall_known_extensions": "false", "autoload_known_extensions": "false"})
    database.execute(f"LOAD '{extension()}'")
    table = f"delta_scan('{path}')"
    described = database.execute(f"DESCRIBE SELECT * FROM {table}").fetchall()
    columns = {name: kind for name, kind, *_ in described}
    stamps = {name for name, kind in columns.items() if kind.startswith("TIMESTAMP")}

    def asked(expressions: list[tuple[str, str]], names: list[str], tail: str = "") -> list[dict]:
        rows = database.execute(f"SELECT {', '.join(expression for expression, _ in expressions)} FROM {table} {tail}").fetchall()
        shown = [instant if column in stamps else plain for _, column in expressions]
        return [{name: show(value) for name, show, value in zip(names, shown, row)} for row in rows]

    def as_number(column: str, expression: str) -> str:
        return f"epoch_us({expression})" if column in stamps else expression

    rows = asked([(as_number(name, f'"{name}"'), name) for name in columns], list(columns))
    both = [(name, function) for name in columns for function in ("min", "max")]
    extremes = asked(
        [(as_number(name, f'{function}("{name}")'), name) for name, function in both],
        [f"{function} {name}" for name, function in both],
    )[0]
    dates = [row[0] for row in database.execute(f"SELECT DISTINCT event_date FROM {table}").fetchall()]
    by_date = {
        str(date): database.execute(f"SELECT count(*) FROM {table} WHERE event_date = ?", [date]).fetchone()[0] for date in dates
    }
    json.dump({"rows": rows, "extremes": extremes, "by_date": by_date}, sys.stdout)


if __name__ == "__main__":
    main()

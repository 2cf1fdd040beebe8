"""A Spark session that does what it is told on stdin: one JSON request a line, one JSON answer a line.

    session.py JARS FOLDER

Requests are {"sql": STATEMENT}, answered by {"rows": [{COLUMN: VALUE, …}, …]}, and {"read": PATH}, answered by every column of every
row of a Delta table, their minima and maxima, and the rows of each date. What fails is answered by {"error": TEXT}. Spark is the
reference reader and writer of Delta tables: nothing here knows the pipeline.
"""

import base64
import datetime
import json
import os
import sys

JARS, FOLDER = sys.argv[1:]

# Before the first import: the JVM takes them from the environment. No other machine is asked for anything.
os.environ["SPARK_LOCAL_IP"] = "127.0.0.1"
os.environ["SPARK_LOCAL_HOSTNAME"] = "localhost"
os.environ["PYSPARK_PYTHON"] = sys.executable
os.environ["TZ"] = "UTC"

from pyspark.sql import SparkSession  # noqa: E402
from pyspark.sql import functions as F  # noqa: E402

OPTIONS = {
    "spark.master": "local[2]",
    "spark.ui.enabled": "false",
    "spark.driver.memory": "1g",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.extraClassPath": f"{JARS}/*",
    # Two cores, little data: the defaults start two hundred tasks for a sum.
    "spark.sql.shuffle.partitions": "2",
    "spark.databricks.delta.snapshotPartitions": "2",
    "spark.sql.session.timeZone": "UTC",
    "spark.driver.extraJavaOptions": "-Duser.timezone=UTC -XX:+UseSerialGC -XX:TieredStopAtLevel=1",
    "spark.sql.warehouse.dir": f"{FOLDER}/warehouse",
    "spark.local.dir": f"{FOLDER}/spark",
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
    # Tests vacuum tables of this minute.
    "spark.databricks.delta.retentionDurationCheck.enabled": "false",
}


def plain(value: object) -> object:
    """A value as JSON has it: timestamps as RFC 3339 in UTC with microseconds, dates as YYYY-MM-DD."""
    if isinstance(value, datetime.datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%S.%f").rjust(26, "0") + "Z"
    if isinstance(value, datetime.date):
        return value.isoformat()
    if isinstance(value, (bytes, bytearray)):
        return base64.b64encode(value).decode()
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return str(value)


def rows(frame) -> list[dict]:
    return [{name: plain(value) for name, value in zip(row.__fields__, row)} for row in frame.collect()]


def read(spark: SparkSession, path: str) -> dict:
    """All that a reader may ask of a table. Instants are read as text: a Python datetime ends at the years 1 and 9999."""
    table = spark.read.format("delta").load(path)
    stamps = {name for name, kind in table.dtypes if kind == "timestamp"}

    def shown(value, name: str):
        return F.date_format(value, "yyyy-MM-dd'T'HH:mm:ss.SSSSSS'Z'") if name in stamps else value

    every_row = table.select([shown(F.col(name), name).alias(name) for name in table.columns])
    both = [(name, function) for name in table.columns for function in (F.min, F.max)]
    extremes = table.agg(*[shown(function(F.col(name)), name).alias(f"{function.__name__} {name}") for name, function in both])
    dates = [row[0] for row in table.select("event_date").distinct().collect()]
    by_date = {str(date): table.where(F.col("event_date") == F.lit(date)).count() for date in dates}
    return {"rows": rows(every_row), "extremes": rows(extremes)[0], "by_date": by_date}


def main() -> None:
    # What Spark and its JVM print is for the log: answers alone go to the real stdout.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    builder = SparkSession.builder
    for name, value in OPTIONS.items():
        builder = builder.config(name, value)
    spark = builder.getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    print(json.dumps({"version": spark.version}), file=answers, flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = read(spark, request["read"]) if "read" in request else {"rows": rows(spark.sql(request["sql"]))}
        except Exception as error:  # Whatever it is, the test is told.
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), file=answers, flush=True)
    spark.stop()


if __name__ == "__main__":
    main()

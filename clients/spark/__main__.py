"""`python -m clients.spark`: files scored by tasks of a Spark cluster; `spark-submit` takes this file as well."""

import argparse
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
from pyspark.sql import SparkSession

from clients.cluster.arguments import add_arguments, task
from clients.cluster.work import Counts, Task

def score(spark, job: Task, numbers: list[int], workers: int) -> None:
    def score_pieces(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        with job.pinned.open() as scorer:
            for batch in batches:
                for number in batch["number"].to_pylist():
                    count = job.score_piece(number, scorer)
                    yield pa.RecordBatch.from_pylist([{"number": number, **count._asdict()}])

    frame = spark.createDataFrame([(n,) for n in numbers], "number long").repartition(min(workers, len(numbers)))
    frame.mapInArrow(score_pieces, "number long, rows long, errors long").collect()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m clients.spark", description=__doc__)
    add_arguments(parser)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--master")
    arguments = parser.parse_args()
    job = task(arguments, arguments.workers)
    numbers = job.prepare()
    if numbers:
        builder = SparkSession.builder.appName("ru-emotions")
        if arguments.master: builder = builder.master(arguments.master)
        spark = builder.getOrCreate()
        score(spark, job, numbers, arguments.workers)
        spark.stop()
    print(job.finish())
    return 0


if __name__ == "__main__":
    sys.exit(main())

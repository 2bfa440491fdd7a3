"""The command: scores files with the tasks of a Spark cluster."""

import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pyarrow as pa
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

import clients
import contract
from clients.cluster.command import make_parser, make_work, run
from clients.cluster.parts import Counts
from clients.cluster.work import Work

_DESCRIPTION: Final = (
    "Scores files with the tasks of a Spark cluster. The same command goes on with a job that was killed."
)


def score(spark: SparkSession, work: Work, numbers: list[int], workers: int) -> None:
    """Score pieces with `workers` tasks at once; one that fails is tried again and skips what it has done.

    Raises:
        PySparkException: a piece can't be scored.
    """

    def score_pieces(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        with work.pinned.open() as scorer:
            for batch in batches:
                for number in batch["number"].to_pylist():
                    counts = work.score_piece(number, scorer)
                    yield pa.RecordBatch.from_pylist([{"number": number, **counts._asdict()}])

    pieces = spark.createDataFrame([(number,) for number in numbers], "number long")
    tasks = pieces.repartition(min(workers, len(numbers)))
    tasks.mapInArrow(score_pieces, "number long, rows long, errors long").collect()


def send_code(spark: SparkSession, directory: Path) -> None:
    """Send the project to executors, so that they need no more of it than its dependencies.

    Args:
        spark: the session.
        directory: for the archive, which executors fetch from there as long as the session lives.
    """
    archive = directory / "ru_emotions_clients.zip"
    with zipfile.PyZipFile(str(archive), "w") as file:
        for package in (clients, contract):
            file.writepy(package.__path__[0])
    spark.sparkContext.addPyFile(str(archive))


def main(arguments: list[str] | None = None) -> int:
    """Do a job, or the rest of one; gives the exit status."""
    parser = make_parser("python -m clients.spark", _DESCRIPTION, has_workers=True)
    group = parser.add_argument_group("Spark")
    group.add_argument("--master", metavar="URL", help="of the cluster (default: what spark-submit or its files say)")
    parsed = parser.parse_args(arguments)

    def do() -> Counts:
        work = make_work(parsed, parsed.workers)
        numbers = work.prepare()
        if numbers:
            builder = SparkSession.builder.appName("ru-emotions")
            spark = (builder.master(parsed.master) if parsed.master else builder).getOrCreate()
            try:
                with tempfile.TemporaryDirectory(prefix="ru-emotions-") as directory:
                    send_code(spark, Path(directory))
                    score(spark, work, numbers, parsed.workers)
            finally:
                spark.stop()
        return work.finish()

    return run(do, PySparkException)

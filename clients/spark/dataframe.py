"""A step of a Spark pipeline: rows with a text in, the same rows with their emotions out."""

from collections.abc import Iterator

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql.pandas.types import from_arrow_schema
from pyspark.sql.types import StructType

from clients.cluster.pinned import Pinned
from clients.cluster.rows import ANSWER, check_columns, score_table


def emotions(frame: DataFrame, pinned: Pinned, *, text: str = "text", workers: int = 4) -> DataFrame:
    """Append the columns of `clients.cluster.rows.ANSWER` to every row.

    At each Triton, at most `workers` times `pinned.calls_each` calls are under way at once. A task that fails is
    tried again by Spark, as any other (`spark.task.maxFailures`).

    Args:
        frame: the rows.
        pinned: the version, chosen once for the job: `clients.cluster.pinned.pin`.
        text: the column with the texts.
        workers: tasks at once at most.

    Raises:
        ValueError: there is no such column, or one that is named as one of the answer's.
    """
    check_columns(frame.columns, text)
    schema = StructType([*frame.schema.fields, *from_arrow_schema(ANSWER).fields])

    def score(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        with pinned.open() as scorer:
            for batch in batches:
                yield from score_table(pa.Table.from_batches([batch]), scorer, pinned.profile, text).to_batches()

    return frame.coalesce(workers).mapInArrow(score, schema)

"""Apache Spark: `emotions` for one's own pipeline, `python -m clients.spark` for files.

May import: `contract`, `clients.scoring`, `clients.cluster`, pyspark.
"""

from clients.spark.dataframe import emotions

__all__ = ["emotions"]

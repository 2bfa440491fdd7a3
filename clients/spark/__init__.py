"""Apache Spark: `emotions` of `dataframe` for one's own pipeline, `python -m clients.spark` for files.

May import: `contract`, `clients.scoring`, `clients.bulk`, `clients.cluster`, pyspark.
"""

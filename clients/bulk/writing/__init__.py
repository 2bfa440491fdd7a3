"""What comes out: `columns` says which columns, `formats` writes them as CSV, JSON lines or Parquet, and `journal`
keeps what is done durable, so that a killed job goes on.

May import: `clients.bulk.errors`, `clients.bulk.reading.rows`, `clients.scoring`, `contract`, pyarrow.
"""

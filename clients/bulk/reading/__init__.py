"""Rows of CSV, JSON lines, Parquet or plain lines, one after the other, of which few are ever in memory.

`opening` finds out what a file is and chooses among `csv_rows`, `json_rows`, `line_rows` and `parquet_rows`; `files`
opens and decodes, `rows` is what all of them give.

May import: `clients.bulk.errors`, pyarrow.
"""

"""What training and serving agree on: the six labels and the version directory.

May import: pydantic and the standard library. Imported by `training/` and `gateway/`, and by
`deploy/` and `benchmarks/` beside them; `server/` knows nothing of it.
"""

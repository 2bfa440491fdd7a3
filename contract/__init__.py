"""What training and serving agree on: the six labels, the version directory, and the trial of a new version.

May import: pydantic and the standard library. Imported by `training/` and `gateway/`, and by
`deploy/` and `benchmarks/` beside them; `server/` knows nothing of it.
"""

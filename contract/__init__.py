"""What training and serving agree on: the six labels and the version directory.

May import: pydantic and the standard library. Imported by `training/` and `gateway/`;
`server/` knows nothing of it.
"""

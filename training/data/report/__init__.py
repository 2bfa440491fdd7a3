"""The page about the data.

Imports `data.rows`, `data.cleaning`, `data.splits` and `common`.
"""

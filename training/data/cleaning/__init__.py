"""Cleaning of training rows: when two texts are the same, near-duplicates, leaks into what is held out.

Imports `data.rows`, `behaviour`, `encoder` and `common`.
"""

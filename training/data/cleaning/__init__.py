"""Cleaning of training rows: when two texts are the same, near-duplicates, leaks into held-out rows.

Imports `data.rows` and `common`.
"""

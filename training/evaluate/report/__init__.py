"""The page of one evaluation.

Imports `measuring`, `data` and `common`.
"""

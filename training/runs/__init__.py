"""A training run: its directory, its folds, and how an interrupted one goes on.

Imports `measuring`, `data` and `common`.
"""

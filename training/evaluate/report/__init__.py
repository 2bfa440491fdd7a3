"""The pages of an evaluation.

Imports `breakdown`, `measuring`, `data` and `common`.
"""

"""What the figures of one evaluation are made of: slices of the rows, curves over the threshold, groups of errors.

Imports `measuring`, `data` and `common`.
"""

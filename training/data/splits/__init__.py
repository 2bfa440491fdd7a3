"""The folds of CEDR, and what is trained on when one of them is held out.

Imports `data.rows`, `data.cleaning` and `common`.
"""

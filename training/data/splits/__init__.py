"""The folds of CEDR and of own rows, and what is trained on when one of them is held out.

Imports `data.rows`, `data.cleaning` and `common`.
"""

"""Pre-training by masked language modelling.

Imports `data`, `encoder` and `common`.
"""

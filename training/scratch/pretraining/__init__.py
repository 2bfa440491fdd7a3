"""Pre-training by masked language modelling.

Imports `encoder` and `common`.
"""

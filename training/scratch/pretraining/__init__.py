"""Pre-training by masked language modelling.

Imports `scratch.settings`, `runs`, `data`, `encoder` and `common`.
"""

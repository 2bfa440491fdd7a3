"""Pre-training by masked language modelling.

Imports `scratch.settings`, `scratch.state`, `runs`, `data`, `encoder` and `common`.
"""

"""A new version beside the one that it follows: its profiles, its figures on dev, its behaviour; and the gate.

Imports `export`, `evaluate`, `runs`, `behaviour`, `measuring`, `data` and `common`, and of `publish` only `versions`.
"""

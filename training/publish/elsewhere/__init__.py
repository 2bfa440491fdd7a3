"""Checkpoints that no run of this project made: what is known of them, and thresholds for them.

Imports `export`, `measuring`, `runs`, `data`, `encoder` and `common`.
"""

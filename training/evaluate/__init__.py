"""Evaluation of a run, a published version or a served model: `python -m training.evaluate`.

Imports `behaviour`, `export`, `runs`, `measuring`, `data`, `encoder` and `common`.
"""

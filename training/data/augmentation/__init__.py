"""Paraphrases of training rows: made, kept while they are made, and filtered.

Imports `data.rows`, `data.cleaning`, `data.splits`, `encoder` and `common`.
"""

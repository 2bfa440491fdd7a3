"""Versions to and from a repository on a Hugging Face hub: `push` and `pull`, and the README.md that goes along.

Imports `followed`, `triton`, `versions` and `trials` of `publish`, and `export`, `evaluate`, `data` and `common`.
"""

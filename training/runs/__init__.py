"""The life of a run: its settings, its record, fold after fold, its directory. Either way of training lives it.

Imports `measuring`, `data`, `encoder` and `common`. `settings`, `record`, `learned` and `start` load no PyTorch.
"""

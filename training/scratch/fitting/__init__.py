"""Fits a classifier fast on one GPU.

Imports `scratch.pretraining`, `scratch.settings`, `runs`, `encoder` and `common`.
"""

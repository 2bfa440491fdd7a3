"""Fits a classifier fast on one GPU.

Imports `scratch.pretraining`, `encoder` and `common`.
"""

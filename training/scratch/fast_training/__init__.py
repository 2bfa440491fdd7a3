"""Trains a classifier fast on one GPU: tokens on the device, GPU graphs, an average of the weights.

Imports `scratch.pretraining`, `encoder` and `common`.
"""

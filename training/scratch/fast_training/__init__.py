"""Trains a classifier fast on one GPU: tokens on the device, GPU graphs, an average of the weights.

Imports `scratch.settings`, `scratch.state`, `scratch.pretraining`, `runs`, `encoder` and `common`.
"""

"""Versions of a model in a repository: published, listed, checked, tried, rolled back, pruned.

May import the rest of `training/`; only `checkpoint`, `elsewhere` and `followed` need torch.
"""

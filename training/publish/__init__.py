"""Versions of a model in a repository: published, listed, checked, rolled back, pruned.

May import the rest of `training/`; only `checkpoint`, `elsewhere` and `followed` need torch.
"""

"""Versions of a model in a repository: published, listed, checked, rolled back, pruned.

May import the rest of `training/`; only `checkpoint` and `behaviour` need torch.
"""

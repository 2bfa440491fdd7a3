"""Versions of a model in a repository: published, listed, checked, tried, rolled back, pruned, shared.

May import the rest of `training/`; only `checkpoint`, `elsewhere`, `followed` and `hub.pull` need torch.
"""

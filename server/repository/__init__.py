"""The model repository: whether there is a model in it, and what Triton is shown of it.

May import: errors and messages of `server`.
"""

"""What Triton makes of a model's directory, and what a running one serves of it.

Imports `export` and `common`, nothing else of `publish`.
"""

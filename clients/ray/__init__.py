"""Ray Data: `emotions` of `dataset` for one's own pipeline, `python -m clients.ray` for files.

May import: `contract`, `clients.scoring`, `clients.bulk`, `clients.cluster`, ray.
"""

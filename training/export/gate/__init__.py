"""What a version must pass before it is published.

Imports `export.graphs`, `measuring`, `encoder` and `common`.
"""

"""Which models and versions are served, checked and ready; and their tokenizers.

May import: `errors`, `telemetry`, `triton`.
"""

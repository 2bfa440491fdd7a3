"""From texts to probabilities.

`pipeline` takes a `query` through tokenization and `batching`, where requests share calls to Triton
(`version_queue`).

May import: `errors`, `telemetry`, `triton`, `models`.
"""

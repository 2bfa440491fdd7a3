"""From texts to probabilities: tokenize, batch, ask Triton.

May import: `errors`, `telemetry`, `triton`, `models`.
"""

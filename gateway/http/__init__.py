"""HTTP as clients speak it: connections, heads, bodies, keys, limits, and what every request gets.

May import: `errors`, `telemetry`.
"""

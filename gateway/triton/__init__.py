"""Calls to Triton, one or several: KServe v2 over gRPC.

May import: `errors`, `telemetry`.
"""

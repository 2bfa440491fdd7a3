"""Calls to Triton, one or several: KServe v2 over gRPC.

`client` is what the other rooms call. It asks one of the `replicas` (each a `replica` with a `channel`, whose
files for TLS are `tls`'s), and `tensors` makes messages of rows.

May import: `errors`, `telemetry`.
"""

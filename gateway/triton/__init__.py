"""Calls to Triton, one or several: KServe v2 over gRPC.

`client` is what the other rooms call. It asks one of the `replicas` (each a `replica` with a `channel`), and
`tensors` makes messages of rows.

May import: `errors`, `telemetry`.
"""

"""Calls to Triton, one or several: KServe v2 over gRPC.

`client` is what the other rooms call. It asks one of the `replicas` (each a `replica` with its two channels, which
`channel` opens), and `tensors` makes messages of rows. The channel for inference is our own: `unary` makes calls on an
`http2` connection, whose headers are `hpack`'s.

May import: `errors`, `telemetry`.
"""

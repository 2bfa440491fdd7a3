"""HTTP as clients speak it, whatever they ask for.

`protocol` is the connection (with `heads`, `transport`, and `connections`, which bounds their number),
`middleware` what every request gets (with `api_keys`), `bodies`, `deadline` and `admission` what an endpoint
may spend on one. `request_state` is what these tell each other of a request.

May import: `errors`, `telemetry`.
"""

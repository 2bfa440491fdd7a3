"""What is told of requests: `request_record` gathers it, `metrics`, `tracing` and `log` pass it on.

May import: nothing of the gateway.
"""

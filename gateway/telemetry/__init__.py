"""What is told of requests: their records, metrics, traces and the log.

May import: nothing of the gateway.
"""

"""What can go wrong: `problems` are the answers that a client reads, `triton_errors` what Triton's failures become.

May import: nothing of the gateway.
"""

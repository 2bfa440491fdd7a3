"""What uses the service: for people, for files, for clusters. Each part is a sub-package with its own extra.

A part may import `contract` and the gateway's public schemas (`gateway.api.schemas`), never training or server.
"""

"""One tritonserver from start to end: its backends, ports, command line, log, readiness and stubs.

May import: environment, processes, repository, errors and messages of `server`; grpcio and tritonclient's
generated messages once it asks Triton something.
"""

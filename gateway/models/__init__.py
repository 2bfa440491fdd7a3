"""Which models and versions are served, and how to read them.

`catalogue` asks Triton, `version_reader` checks and reads the version directories (`versions`,
`tokenizer_sandbox`), `canary` says whether the newest is on trial, `readiness`
whether requests can be answered.

May import: `errors`, `telemetry`, `triton`.
"""

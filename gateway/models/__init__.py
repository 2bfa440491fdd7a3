"""Which models and versions are served, and how to read them.

`catalogue` asks Triton, `version_reader` checks and reads the version directories (`versions`, with
`tokenization` and its `tokenizer_sandbox`), `readiness` says whether requests can be answered.

May import: `errors`, `telemetry`, `triton`.
"""

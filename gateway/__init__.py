"""The gateway: Russian text over HTTP in, emotions out, computed by Triton over gRPC.

`python -m gateway` starts it. Text is tokenized here, with the tokenizer of the version
directory that Triton serves; everything else about a model is Triton's.

Data flows one way, and each file does one step of it: `http` (bytes; with `heads`, `transport` and
`connections`) → `front` (who asks, which endpoint) → `routes` → `intake`, `parsing` and `admission` (a body
to a `query`, by `schemas` or `protocols`, and a place for it) →
`inference`: `tokenization` → `batching` (of what is `waiting`) → `triton` (gRPC over a `channel`) → `emotions` or
`protocols` (probabilities to answers). `catalogue`, `versions` and `readiness` know what is served;
`problems` and `failures` say what goes wrong; `exchange`, `metrics`, `log` and `tracing` tell what
happened; `settings` and `command_line` say what can be set, `serving` runs it, `pages` is what a
browser gets, `documentation` the OpenAPI document.

May import: `contract`, FastAPI, Starlette, pydantic, uvicorn, tokenizers, grpc, tritonclient, numpy,
prometheus_client, OpenTelemetry. Never torch, transformers or `training`.
"""

"""The endpoints, and what they take and answer.

`routes` are the endpoints (`raw_route` says how FastAPI serves them, `services` what they work with). Bodies are
`schemas` for `/v1/emotions`, `protocols` and `classify` (vLLM's) for the others; `parsing` checks them, `emotions`
and `listing` make answers, `exception_handlers` make them of failures. `openapi` describes it all.

May import: `errors`, `telemetry`, `http`, `models`, `inference`.
"""

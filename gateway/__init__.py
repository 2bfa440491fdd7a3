"""The gateway: Russian text over HTTP in, emotions out, computed by Triton over gRPC.

`python -m gateway` starts it. Text is tokenized here, with the tokenizer of the version directory that Triton
serves; everything else about a model is Triton's.

A text's way, in six steps:

1. `http/protocol` parses bytes to a request (uvicorn's protocol, with bounds);
2. `http/middleware` gives it an id and a record, and checks its API key; FastAPI finds its route;
3. `api/routes` reads and checks the body (`http/bodies`, `api/parsing`), and takes an admission slot for it;
4. `inference/pipeline` finds the model version (`models/catalogue`), `inference/text_reader` tokenizes
   (`contract/tokenization`), for `inference/version_inference`;
5. `inference/batching` answers it with what is known (`inference/answer_cache`), or lets it share a call with others
   that wait (`inference/version_queue`), and a row with its equals (`inference/pending`);
6. `triton/client` calls Triton.

The probabilities go back the same way; `api/emotions` or `api/protocols` make the answer of them.

Rooms, from the bottom up. Each imports only those above it in this list, as its own `__init__` says:
`errors` and `telemetry`; `http`, `triton`; `models`; `inference`; `api`. `pages` imports none. What puts them
together lies here, and no room imports it: `settings` and `command_line` say what can be set, `app` makes the
services and the application, `serving` runs it.

May import: `contract`, FastAPI, Starlette, pydantic, uvicorn, tokenizers, razdel, grpc, tritonclient, numpy,
prometheus_client, OpenTelemetry. Never torch, transformers or `training`.
"""

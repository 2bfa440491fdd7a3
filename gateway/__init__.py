"""The gateway: Russian text over HTTP in, emotions out, computed by Triton over gRPC.

`python -m gateway` starts it. Text is tokenized here, with the tokenizer of the version
directory that Triton serves; everything else about a model is Triton's.

Data flows one way, and each file does one step of it: `routes` (HTTP) → `schemas` (what a
client may send and gets) → `tokenization` → `grouping` → `triton` (gRPC) → `emotions`
(probabilities to answers), held together by `inference`, with `catalogue` knowing what is
served. `problems` and `failures` say what goes wrong, `settings` what can be set.

May import: `contract`, FastAPI, pydantic, uvicorn, tokenizers, grpc, Triton's generated
protobuf classes. Never torch, transformers or `training`.
"""

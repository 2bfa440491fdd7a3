"""A backend for Triton in Python that reads texts: it tokenizes them and asks the model beside it.

Serves the models with `backend: "text"`, whose versions are links to another model's versions. Runs in Triton's
environment, that of `make serve` or the one in the image of `deploy/triton.Dockerfile`, inside a stub process per
model instance. May import: numpy, tokenizers, Triton's `triton_python_backend_utils`, `server.triton_tensors`, and its
own modules.

`model.py` is what Triton loads; `version` and `reading` are plain code without Triton.
"""

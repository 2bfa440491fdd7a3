"""What training, serving and clients agree on: the six labels, the version directory, the trial of a new version;
how a text becomes token ids, and probabilities become emotions.

May import: pydantic, the standard library, and `tokenization` alone tokenizers. Imported by `training/`, `gateway/` and
`clients/`, and by `deploy/` and `benchmarks/` beside them; `server/` knows nothing of it.
"""

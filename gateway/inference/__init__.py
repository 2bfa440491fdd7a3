"""From texts to probabilities.

`pipeline` finds the version for a `query`; `version_inference` takes it through `text_reader`, which tokenizes whole
texts or their parts (`sentences`), and `batching`, where requests share calls to Triton (`version_queue`), and equal
rows are one: those on their way (`pending`), and those answered lately (`answer_cache`). `challenger` asks a version
that is on trial.

May import: `errors`, `telemetry`, `triton`, `models`.
"""

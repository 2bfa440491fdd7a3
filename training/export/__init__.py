"""From a fine-tuned checkpoint to the two ONNX graphs that Triton serves.

Both graphs are written node by node from the encoder's weights, so that what runs is what
was meant to run: fused operators are there because they were put there.

`graphs` → `gate` → the modules beside this file, each of which imports only those before it.
Imports `runs`, `measuring`, `behaviour`, `data`, `encoder` and `common`. The commands are
`python -m training.export.gpu_weights`, and `python -m training.export.checkpoints`, the way back from a published
graph to a checkpoint.
"""

import os

# From 1.29 on ONNX Runtime's wheels for Linux report every session to Microsoft unless told not to, before they start.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

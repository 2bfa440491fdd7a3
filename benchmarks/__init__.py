"""How fast this is, beside what people would use instead: measured, paired and reported.

Commands: `python -m benchmarks` (everything, side by side, and its report), `.perf` (Triton alone), `.compare` (two
checkouts), `.tuning` (Triton's best settings here), `.report` (a report again from its raw figures),
`.parts.tokenizing` (tokenizers), `.parts.text_models` (what a text model costs). Rooms, each of which may import those
before it: `setup`, `load`, `peers`, `parts`, `report`, `tuning`. Reports are in `results/`; what is downloaded or made
on the way lies in `build/benchmarks/`.

May import: contract, server, gateway.settings, training.common, and training.export for graphs. Nothing imports this
room.
"""

import os

# As in training.export: ONNX Runtime reports to nobody, here and in the processes started here, peers included.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

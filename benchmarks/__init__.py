"""How fast this is, beside what people would use instead: measured, paired and reported.

Commands: `python -m benchmarks` (everything, side by side, and its report), `.perf` (Triton alone), `.compare` (two
checkouts), `.tokenizing` (tokenizers), `.report` (a report again from its raw figures). Rooms, each of which may import
those before it: `setup`, `load`, `peers`, `parts`, `report`. Reports are in `results/`; what is downloaded or made on
the way lies in `build/benchmarks/`.

May import: contract, server, gateway.settings, training.common, and training.export for graphs. Nothing imports this
room.
"""

import os

# As in training.export: ONNX Runtime reports to nobody, here and in the processes started here, peers included.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

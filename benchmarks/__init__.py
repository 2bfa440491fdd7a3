"""How fast this is, beside what people would use instead: measured, paired and reported.

Each part (`make perf`, ceilings, HTTP, peers, GPU) is a command of its own; `make bench` runs them
side by side and writes the report. What is downloaded or made on the way lies in `build/benchmarks/`.

May import: contract, server, gateway's command line, and training.export for graphs. Nothing imports this room.
"""

import os

# As in training.export: ONNX Runtime reports to nobody, here and in the processes started here, peers included.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

"""Runs the worst batch a client can cause and prints what it took, as JSON. Used by the gate."""

import json
import sys
import time
from pathlib import Path

from training.export.runtime import run, session


def _peak_kilobytes() -> int:
    # Not getrusage: its peak is inherited from the process that started this one.
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1])
    raise RuntimeError("/proc/self/status has no VmHWM")


def main() -> None:
    """Arguments: graph, max length, rows, length of the one row that is far too long."""
    graph, (max_length, rows, too_long) = Path(sys.argv[1]), map(int, sys.argv[2:5])
    loaded = session(graph, threads=2)
    run(loaded, [[2, 3]])
    batch = [[2, 5, 3]] * (rows - 1) + [[5] * too_long]
    full = [[5] * max_length] * rows
    times = {"one": [], "full": []}  # type: dict[str, list[float]]
    for _ in range(5):
        for name, sent in (("one", batch), ("full", full)):
            start = time.perf_counter()
            run(loaded, sent)
            times[name].append(time.perf_counter() - start)
    print(json.dumps({
        "milliseconds": round(min(times["one"]) * 1000, 1),
        "milliseconds_all_rows_long": round(min(times["full"]) * 1000, 1),
        "megabytes": round(_peak_kilobytes() / 1024, 1),
    }))  # fmt: skip


if __name__ == "__main__":
    main()

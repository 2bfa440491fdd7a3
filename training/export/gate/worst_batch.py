"""Runs the worst batches clients can cause and prints what they took, as JSON. Used by the gate.

One thread, as Triton runs an instance, and the processor's time, not the clock's: what else the machine
does meanwhile must not decide what is published.
"""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

from training.export.graphs.runtime import Ids, run, session


def _megabytes(field: str) -> float:
    # Not getrusage: its peak is inherited from the process that started this one.
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError(f"/proc/self/status has no {field}")


def _milliseconds(batch: Callable[[], object]) -> float:
    times = []
    for _ in range(3):
        start = time.process_time()
        batch()
        times.append(time.process_time() - start)
    return min(times) * 1000


def main() -> None:
    """Arguments: graph, max length, rows, length of the row that is far too long, an ordinary token."""
    graph, (max_length, rows, too_long, token) = Path(sys.argv[1]), map(int, sys.argv[2:6])
    loaded = session(graph, threads=1)
    full_row: Ids = [token] * max_length
    run(loaded, [full_row])
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # The peak starts again from here.
    before = _megabytes("VmRSS")
    one_too_long = [[token] * 3] * (rows - 1) + [[token] * too_long]
    figures = {
        "milliseconds_one_too_long": _milliseconds(lambda: run(loaded, one_too_long)),
        "milliseconds_all_full": _milliseconds(lambda: run(loaded, [full_row] * rows)),
        "milliseconds_full_one_by_one": _milliseconds(lambda: run(loaded, [full_row])) * rows,
        "megabytes": _megabytes("VmHWM") - before,
    }
    print(json.dumps({name: round(figure, 1) for name, figure in figures.items()}))


if __name__ == "__main__":
    main()

"""Runs a graph in Triton's environment, in process, as the backend opens it; says texts a second by batch, as JSON.

.venv-triton-gpu/bin/python -m benchmarks.parts.in_process VERSION GRAPH DEVICE SECONDS ROWS.json BATCH …
"""

import json
import sys
import time
from pathlib import Path

import numpy as np

from server.onnxruntime_backend.configuration import SessionConfiguration
from server.onnxruntime_backend.session import open_session


def main() -> None:
    """Open the graph and run every batch size for so many seconds."""
    version, graph, device, seconds, file = sys.argv[1:6]
    with open(file, encoding="ascii") as rows_file:
        rows = [np.array(row, dtype=np.int64) for row in json.load(rows_file)]
    session = open_session(SessionConfiguration(graph), Path(version), f"{device.upper()}", 0)
    rates = {}
    for batch in map(int, sys.argv[6:]):
        feeds = [
            {
                "input_ids": np.concatenate(rows[start : start + batch]),
                "item_shape": np.array([[len(row)] for row in rows[start : start + batch]], dtype=np.int32),
            }
            for start in range(0, len(rows) - batch + 1, batch)
        ]
        for feed in feeds[:10]:
            session.run(None, feed)
        began, done = time.perf_counter(), 0
        while (spent := time.perf_counter() - began) < float(seconds):
            session.run(None, feeds[done % len(feeds)])
            done += 1
        rates[batch] = done * batch / spent
    print(json.dumps(rates))


if __name__ == "__main__":
    main()

"""Whether a CPU graph answers rightly on the ONNX Runtime of the Python that runs this file. The gate and tests do.

    python training/export/gate/on_runtime.py model_repository/emotion_rubert/1

Needs numpy and onnxruntime, nothing else, so that it runs in an environment of any ONNX Runtime. Asks what the
version's card records (`sample`), alone, in batches of awkward sizes and mixtures, and behind a row of length zero.
Prints what it found as JSON; exit status 1 and a sentence if an answer is wrong. A crash is a crash of its own.
"""

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import numpy as np
import onnxruntime

TOLERANCE: Final = 5e-3
"""Of an int8 graph's probabilities: another kernel's last bits may move an activation by one step."""
SIZES: Final = {1: (*range(1, 10), 15, 16, 17, 31, 32, 33, 63, 64), 2: (1, 2, 7, 33, 64)}
"""Of batches, by the number of threads."""


def batches(rows: list[list[int]], sizes: tuple[int, ...]) -> Iterator[list[int]]:
    """Numbers of rows: of every size, rows repeated, one long row among short ones, short rows alone."""
    by_length = sorted(range(len(rows)), key=lambda number: len(rows[number]))
    short, long = by_length[0], by_length[-1]
    for size in sizes:
        yield [(7 * number + size) % len(rows) for number in range(size)]
        yield [short] * size
        yield [short] * (size - 1) + [long]
        yield [long] + [short] * (size - 1)
    yield [long] * sizes[-1]


class Graph:
    """A graph on this ONNX Runtime, with one thread or two."""

    def __init__(self, path: Path, threads: int) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def run(self, rows: list[list[int]]) -> Any:
        """Probabilities, float32 `[rows, 6]`."""
        ids = np.array([token for row in rows for token in row], dtype=np.int64)
        shape = np.array([[len(row)] for row in rows], dtype=np.int32)
        return self._session.run(None, {"input_ids": ids, "item_shape": shape})[0]


def largest_difference(graph: Graph, rows: list[list[int]], recorded: Any, sizes: tuple[int, ...]) -> float:
    """From the recorded probabilities, over all batches; NaN if any answer is."""
    worst = 0.0
    for batch in batches(rows, sizes):
        difference = np.abs(graph.run([rows[number] for number in batch]) - recorded[batch]).max()
        worst = float(np.maximum(worst, difference))  # Unlike max, it hands a NaN on.
    return worst


def wrongly_answered(graph: Graph, rows: list[list[int]], recorded: Any) -> str | None:
    """What is wrong with batches in which a row has length zero, if anything: it and all behind it must get NaN."""
    rubbish = [[2**62, -1, -(2**63), 5], [2**63 - 1], [-7] * 300]
    for size in (0, 1, 2, 7, 8, 31, 60):
        numbers = [number % len(rows) for number in range(size)]
        answers = graph.run([*(rows[number] for number in numbers), [], *rubbish])
        if not np.isnan(answers[size:]).all():
            return f"a row of length zero behind {size} rows, or a row behind it, gets an answer"
        if size and not np.abs(answers[:size] - recorded[numbers]).max() <= TOLERANCE:
            return f"{size} rows in front of a row of length zero get other answers"
    if not np.isnan(graph.run([[], []])).all():
        return "rows of length zero get an answer"
    return None


def main() -> None:
    """Check the version directory named, or a graph and a file with a sample."""
    directory = Path(sys.argv[1])
    graph, record = directory / "model.cpu.onnx", directory / "card.json"
    if len(sys.argv) == 3:
        graph, record = directory, Path(sys.argv[2])
    found = json.loads(record.read_text(encoding="utf-8"))
    sample = found if "rows" in found else found.get("sample")
    if not sample:
        sys.exit(f"{record} records no answers to check with: publish the version again")
    rows, recorded = sample["rows"], np.array(sample["probabilities"], dtype=np.float32)
    where = f"ONNX Runtime {onnxruntime.__version__}"
    worst = 0.0
    for threads, sizes in SIZES.items():
        opened = Graph(graph, threads)
        difference = largest_difference(opened, rows, recorded, sizes)
        worst = float(np.maximum(worst, difference))
        if not worst <= TOLERANCE:
            sys.exit(f"{where} moves a probability by {worst:.2g}; at most {TOLERANCE} is allowed")
        if wrong := wrongly_answered(opened, rows, recorded):
            sys.exit(f"on {where} {wrong}")
    print(json.dumps({"onnxruntime": onnxruntime.__version__, "largest_difference": float(f"{worst:.3g}")}))


if __name__ == "__main__":
    main()

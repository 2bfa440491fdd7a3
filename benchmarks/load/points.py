"""One point of a sweep: what perf_analyzer measured, beside Triton's own counts."""

import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.load.perf_analyzer import Load, Measured, PerfAnalyzer, measure
from benchmarks.load.perf_input import write_input
from benchmarks.load.processes import cpu_seconds
from benchmarks.load.statistics import read_counts
from benchmarks.setup.texts import Workload


@dataclass(frozen=True)
class Point:
    """One point of the sweep: the load, what perf_analyzer measured, and rows an execution by Triton's counts.

    `cpu_ms` is what all of Triton's processes spent on a row, where they are known.
    """

    load: Load
    measured: Measured
    rows_per_execution: float
    cpu_ms: float | None = None

    def figures(self) -> dict[str, float]:
        """Everything measured, by name."""
        cpu = {} if self.cpu_ms is None else {"cpu_ms": self.cpu_ms}
        return {**asdict(self.measured), "rows_per_execution": self.rows_per_execution, **cpu}


def measure_point(
    analyzer: PerfAnalyzer, grpc_url: str, model: str, texts: Workload, load: Load, triton: int | None = None
) -> Point:
    """One run of perf_analyzer, with Triton's counts before and after, and its CPU time if its pid is given.

    Raises:
        BenchmarkError: Triton or perf_analyzer fails.
    """
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch) / "input.json"
        write_input(file, texts.rows, texts.pad_id, load.rows)
        before = read_counts(grpc_url, model)
        cpu = cpu_seconds(triton) if triton else 0.0
        measured = measure(analyzer, grpc_url, model, file, load)
        after = read_counts(grpc_url, model)  # of all rows: those that came before the first window cost CPU too
        rows = after.rows - before.rows
        cpu_ms = 1000 * (cpu_seconds(triton) - cpu) / rows if triton and rows else None
        return Point(load, measured, after.since(before), cpu_ms)

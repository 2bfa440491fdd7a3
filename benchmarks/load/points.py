"""One point of a sweep: what perf_analyzer measured, beside Triton's own counts."""

import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.load.perf_analyzer import Load, Measured, PerfAnalyzer, measure
from benchmarks.load.perf_input import write_input
from benchmarks.load.statistics import read_counts
from benchmarks.setup.texts import Workload


@dataclass(frozen=True)
class Point:
    """One point of the sweep: the load, what perf_analyzer measured, and rows an execution by Triton's counts."""

    load: Load
    measured: Measured
    rows_per_execution: float

    def figures(self) -> dict[str, float]:
        """Everything measured, by name."""
        return {**asdict(self.measured), "rows_per_execution": self.rows_per_execution}


def measure_point(analyzer: PerfAnalyzer, grpc_url: str, model: str, texts: Workload, load: Load) -> Point:
    """One run of perf_analyzer, with Triton's counts before and after.

    Raises:
        BenchmarkError: Triton or perf_analyzer fails.
    """
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch) / "input.json"
        write_input(file, texts.rows, texts.pad_id, load.rows)
        before = read_counts(grpc_url, model)
        measured = measure(analyzer, grpc_url, model, file, load)
        return Point(load, measured, read_counts(grpc_url, model).since(before))

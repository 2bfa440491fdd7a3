"""Triton's own counts of what it executed, over gRPC."""

import time
from dataclasses import dataclass
from typing import Self

import tritonclient.grpc as grpc
from tritonclient.utils import InferenceServerException

from benchmarks.command import BenchmarkError


@dataclass(frozen=True)
class Counts:
    """Rows that were answered and executions they took, since Triton started, over all versions of a model."""

    rows: int
    executions: int

    def since(self, earlier: Self) -> float:
        """Rows an execution between two moments; 0 if there was none."""
        executions = self.executions - earlier.executions
        return (self.rows - earlier.rows) / executions if executions else 0.0


def read_counts(grpc_url: str, model: str, seconds: float = 5.0) -> Counts:
    """Triton's counts, once they stand still: they lag behind the answers.

    Raises:
        BenchmarkError: no Triton answers there, or it serves no such model.
    """
    # A proxy set for the way out must not get in between.
    with grpc.InferenceServerClient(grpc_url, channel_args=[("grpc.enable_http_proxy", 0)]) as client:
        deadline, last = time.monotonic() + seconds, None
        while True:
            try:
                found = client.get_inference_statistics(model, client_timeout=10).model_stats
            except InferenceServerException as error:
                raise BenchmarkError(f"Triton at {grpc_url} has no statistics of {model}: {error.message()}") from None
            counts = Counts(sum(s.inference_count for s in found), sum(s.execution_count for s in found))
            if counts == last or time.monotonic() > deadline:
                return counts
            last = counts
            time.sleep(0.3)

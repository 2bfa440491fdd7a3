"""Whether this machine's GPU answers as the GPU graphs should: `make gpu-check`.

    .venv-triton-gpu/bin/python -m server.gpu_check --repository model_repository

No machine without a GPU can run the graphs' attention. So whatever makes a GPU graph records in `model.gpu.json` what
must be answered to a few rows; here they are asked, together and one by one, of the graph opened as the
backend opens it. Runs in Triton's environment, which has numpy and ONNX Runtime for GPUs and nothing else.
"""

import argparse
import hashlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from server.onnxruntime_backend.configuration import ConfigurationError, SessionConfiguration
from server.onnxruntime_backend.session import open_session

GRAPH: Final = "model.gpu.onnx"
RECORD: Final = "model.gpu.json"
TOLERANCE: Final = 0.01
"""How far fp16 may move a probability."""


class GpuCheckError(Exception):
    """A GPU graph can't be checked, or its answers are wrong."""


def check(graph: Path, kind: str = "GPU") -> float:
    """The largest difference from the recorded probabilities.

    Args:
        graph: the file, with its record beside it.
        kind: `GPU`; `CPU` rehearses it with a graph that a CPU can run.

    Raises:
        GpuCheckError: says what is wrong and what to do.
    """
    sample = _sample(graph)
    try:
        session = open_session(SessionConfiguration(graph.name), graph.parent, kind, 0)
    except ConfigurationError as error:
        raise GpuCheckError(str(error)) from error
    expected = np.array(sample["probabilities"])
    together = _answers(session, sample["rows"])
    alone = np.concatenate([_answers(session, [row]) for row in sample["rows"]])
    difference = float(max(np.abs(together - expected).max(), np.abs(alone - expected).max()))
    if not difference <= TOLERANCE:  # Written so that NaN fails too.
        raise GpuCheckError(
            f"{graph} answers wrongly here: a probability is off by {difference:.2g}, and at most {TOLERANCE} is"
            f" allowed; do not serve it on this GPU (make serve without DEVICE=gpu serves {graph.parent} on the CPU)"
        )
    return difference


def _sample(graph: Path) -> Any:
    """The rows and probabilities of the graph's record."""
    advice = f"remove {GRAPH} there and run `make gpu-weights`, or publish the version again"
    path = graph.with_name(RECORD)
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError) as error:
        raise GpuCheckError(f"{path} can't be read ({error}): {advice}") from error
    with graph.open("rb") as file:
        if record.get("sha256") != hashlib.file_digest(file, "sha256").hexdigest():
            raise GpuCheckError(f"{graph} is not the file {RECORD} describes: {advice}")
    if not record.get("sample"):
        raise GpuCheckError(f"{path} says nothing to check with, as it is from an earlier release: {advice}")
    return record["sample"]


def _answers(session: Any, rows: Sequence[Sequence[int]]) -> Any:
    ids = np.array([token for row in rows for token in row], dtype=np.int64)
    shape = np.array([[len(row)] for row in rows], dtype=np.int32)
    return session.run(None, {"input_ids": ids, "item_shape": shape})[0]


def main() -> None:
    """Check every GPU graph of a repository; exit status 1 if one is wrong or there is none."""
    parser = argparse.ArgumentParser(
        prog="python -m server.gpu_check",
        description="Whether this machine's GPU answers as the GPU graphs should.",
        allow_abbrev=False,
    )
    parser.add_argument("--repository", type=Path, default=Path("model_repository"), help="default: %(default)s")
    repository = parser.parse_args().repository
    graphs = sorted(path for path in repository.glob(f"*/*/{GRAPH}") if not path.parent.is_symlink())
    if not graphs:
        sys.exit(f"error: {repository} holds no {GRAPH}: run `make gpu-weights`")
    wrong = False
    for graph in graphs:
        try:
            print(f"{graph} answers as it should; the largest difference is {check(graph):.2g}", flush=True)
        except GpuCheckError as error:
            wrong = True
            print(f"error: {error}", file=sys.stderr, flush=True)
    sys.exit(wrong)


if __name__ == "__main__":
    main()

"""Runs an exported graph with ONNX Runtime, in process."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime

from contract.version_directory import INPUT_IDS, ITEM_SHAPE

Ids = Sequence[int]
Probabilities = npt.NDArray[np.float32]


def session(graph: Path | onnx.ModelProto, threads: int = 1) -> onnxruntime.InferenceSession:
    """An ONNX Runtime session on the CPU."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    source = str(graph) if isinstance(graph, Path) else graph.SerializeToString()
    return onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])


def run(graph: onnxruntime.InferenceSession, rows: Sequence[Ids]) -> Probabilities:
    """One execution over rows of token ids of any lengths; float32 `[rows, 6]`."""
    flat = np.array([token for row in rows for token in row], dtype=np.int64)
    shape = np.array([[len(row)] for row in rows], dtype=np.int32)
    answer: Probabilities = graph.run(None, {INPUT_IDS: flat, ITEM_SHAPE: shape})[0]
    return answer

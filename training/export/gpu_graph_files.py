"""The GPU graph of a version: made of the CPU graph's weights, and recorded with what a GPU must answer.

Needs neither torch nor the data: the int8 weights are dequantised and written as fp16. What was made, how far its
answers are from the CPU graph's, and what a GPU must answer to a few rows stands in `model.gpu.json` beside it.
"""

import importlib.metadata
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime

from contract.version_directory import CPU_GRAPH, GPU_GRAPH, GPU_RECORD, GpuGraph, Sample, read_card, sha256
from training.common.command import TrainingError
from training.common.staging import explained, write_file
from training.export.graphs.gpu import build_gpu_graph
from training.export.graphs.portable import portable
from training.export.graphs.runtime import run, session
from training.export.graphs.weights import Shape, from_cpu_graph
from training.export.integrity import damage

MEAN_DIFFERENCE: Final = 0.02
"""What int8 activations alone, which the GPU graph does not have, may move a probability on average."""
SAMPLE_LENGTHS: Final = (9, 40, 1, 130, 2, 17, 64, 33)
"""Of the rows that a GPU is checked with: mixed, one of them too long."""
_TOOLS: Final = ("onnx", "onnxruntime", "numpy")


def graph_from_cpu_graph(cpu_graph: Path, shape: Shape) -> onnx.ModelProto:
    """The fp16 graph that has a published CPU graph's weights."""
    return build_gpu_graph(from_cpu_graph(cpu_graph, shape), "fp16")


def make_gpu_graph(version_directory: Path) -> Path:
    """Write a version's GPU graph and its record, and check it against its CPU graph.

    Raises:
        TrainingError: the version is damaged, the graphs disagree, or the directory cannot be written.
    """
    cpu_graph, gpu_graph = version_directory / CPU_GRAPH, version_directory / GPU_GRAPH
    if wrong := damage(version_directory):
        raise TrainingError(f"{'; '.join(wrong)}: get the repository's files again")
    architecture: dict[str, Any] = dict(read_card(version_directory).architecture)
    shape = Shape(**architecture)
    model = graph_from_cpu_graph(cpu_graph, shape)
    graph, rows = session(portable(model)), random_rows(shape)
    difference = np.abs(run(graph, rows) - run(session(cpu_graph), rows))
    if not difference.mean() <= MEAN_DIFFERENCE:
        raise TrainingError(
            f"{gpu_graph} would differ from {CPU_GRAPH} by {difference.mean():.3f} on average;"
            f" at most {MEAN_DIFFERENCE} is allowed"
        )
    unfinished = gpu_graph.with_suffix(".unfinished")
    write_file(unfinished, model.SerializeToString())
    # The record first: a graph without one is of unknown origin, a record without its graph says nothing.
    made_from, compared_on = f"the int8 weights of {CPU_GRAPH}", "64 rows of random ids"
    write_record(version_directory, unfinished, made_from, difference, compared_on, record_gpu_sample(graph, shape))
    with explained(gpu_graph):
        os.replace(unfinished, gpu_graph)
    return gpu_graph


def random_rows(shape: Shape, lengths: Iterable[int] = range(3, 67)) -> list[list[int]]:
    """Rows of ordinary token ids, always the same ones."""
    random = np.random.default_rng(0)
    return [[int(token) for token in random.integers(5, shape.vocabulary, length)] for length in lengths]


def record_gpu_sample(graph: onnxruntime.InferenceSession, shape: Shape) -> Sample:
    """What a GPU is asked, and the answers of the graph's portable form."""
    rows = random_rows(shape, SAMPLE_LENGTHS)
    answers = [[round(float(probability), 5) for probability in row] for row in run(graph, rows)]
    return Sample(rows=rows, probabilities=answers)


def write_record(
    version_directory: Path,
    gpu_graph: Path,
    made_from: str,
    difference: npt.NDArray[Any],
    compared_on: str,
    sample: Sample,
) -> None:
    """Write `model.gpu.json` for the version's CPU graph and a GPU graph.

    Args:
        version_directory: where the CPU graph is and the record goes.
        gpu_graph: the file, whatever its name still is.
        made_from: which weights it has.
        difference: of the two graphs' probabilities, absolute, `[rows, 6]`.
        compared_on: which rows these are.
        sample: what a GPU must answer.
    """
    record = GpuGraph(
        sha256=sha256(gpu_graph),
        made_from=made_from,
        cpu_graph=sha256(version_directory / CPU_GRAPH),
        mean_difference=float(f"{difference.mean():.3g}"),
        largest_difference=float(f"{difference.max():.3g}"),
        compared_on=compared_on,
        tools={name: importlib.metadata.version(name) for name in _TOOLS},
        sample=sample,
    )
    write_file(version_directory / GPU_RECORD, (record.model_dump_json(indent=2) + "\n").encode())

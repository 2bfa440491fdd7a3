"""Make `model.gpu.onnx` where a version has none, from its committed CPU weights.

    python -m training.export.gpu_weights --repository model_repository

Needs neither torch nor the data: the int8 weights are dequantised and written as fp16.
"""

import os
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from contract.version_directory import CPU_GRAPH, GPU_GRAPH, CardError, read_card, sha256
from training.command import TrainingError, command_parser, run_command
from training.export.gpu_graph import build_gpu_graph
from training.export.runtime import run, session
from training.export.weights import Shape, from_cpu_graph

# What int8 activations alone, which the GPU graph does not have, may move a probability on average.
MEAN_DIFFERENCE = 0.02


def make_gpu_graph(version_directory: Path) -> Path:
    """Write a version's GPU graph and check it against its CPU graph.

    Raises:
        TrainingError: the CPU graph is missing, is not the one on the card, or disagrees.
    """
    cpu_graph, gpu_graph = version_directory / CPU_GRAPH, version_directory / GPU_GRAPH
    try:
        card = read_card(version_directory)
    except CardError as error:
        raise TrainingError(str(error)) from error
    if not cpu_graph.is_file():
        raise TrainingError(f"{cpu_graph} does not exist: get the repository's files again")
    if sha256(cpu_graph) != card.files.get(CPU_GRAPH):
        raise TrainingError(f"{cpu_graph} is not the file its card describes: get it again")
    architecture: dict[str, Any] = dict(card.architecture)
    shape = Shape(**architecture)
    model = build_gpu_graph(from_cpu_graph(cpu_graph, shape), "fp16")
    random = np.random.default_rng(0)
    rows = [[int(token) for token in random.integers(5, shape.vocabulary, length)] for length in range(3, 67)]
    difference = np.abs(run(session(model), rows) - run(session(cpu_graph), rows))
    if not difference.mean() <= MEAN_DIFFERENCE:
        raise TrainingError(
            f"{gpu_graph} would differ from {CPU_GRAPH} by {difference.mean():.3f} on average;"
            f" at most {MEAN_DIFFERENCE} is allowed"
        )
    unfinished = gpu_graph.with_suffix(".unfinished")
    onnx.save(model, unfinished)
    os.replace(unfinished, gpu_graph)
    return gpu_graph


def main() -> None:
    """Go through a repository and make what is missing."""
    parser = command_parser("training.export.gpu_weights", __doc__)
    parser.add_argument("--repository", type=Path, default=Path("model_repository"), help="default: %(default)s")
    repository = parser.parse_args().repository
    cards = sorted(repository.glob("*/*/card.json"))
    if not cards:
        raise TrainingError(f"{repository} holds no version directories")
    for card in cards:
        if (card.parent / GPU_GRAPH).exists():
            print(f"{card.parent / GPU_GRAPH} is there already")
        else:
            print(f"made {make_gpu_graph(card.parent)}")


if __name__ == "__main__":
    run_command(main)

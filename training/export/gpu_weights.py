"""Make `model.gpu.onnx` where a version has none, from its committed CPU weights.

    python -m training.export.gpu_weights --repository model_repository

Needs neither torch nor the data: the int8 weights are dequantised and written as fp16. What was made,
how far its answers are from the CPU graph's, and what a GPU must answer to a few rows stands in
`model.gpu.json` beside it.
"""

from pathlib import Path

from contract.version_directory import GPU_GRAPH, version_directories
from training.common.command import TrainingError, command_parser, run_command
from training.export.gpu_graph_files import make_gpu_graph
from training.export.integrity import damage


def main() -> None:
    """Go through a repository and make what is missing."""
    parser = command_parser("training.export.gpu_weights", __doc__)
    parser.add_argument("--repository", type=Path, default=Path("model_repository"), help="default: %(default)s")
    repository = parser.parse_args().repository
    directories = version_directories(repository)
    if not directories:
        raise TrainingError(f"{repository} holds no version directories")
    for directory in directories:
        if not (directory / GPU_GRAPH).exists():
            print(f"made {make_gpu_graph(directory)}")
        elif wrong := damage(directory):
            raise TrainingError("; ".join(wrong))
        else:
            print(f"{directory / GPU_GRAPH} is there already")


if __name__ == "__main__":
    run_command(main)

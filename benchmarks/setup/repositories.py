"""Model repositories made for a measurement: another number of instances, other shapes, a graph without work.

Graphs are written with the package `onnx`, which is imported only where one has to be made.
"""

import contextlib
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2 as pb

from benchmarks.setup.texts import newest_version
from contract.labels import EMOTIONS
from contract.version_directory import CPU_GRAPH, GPU_GRAPH, INPUT_IDS, ITEM_SHAPE
from training.export.triton_config import write_model_directory

if TYPE_CHECKING:
    from training.export.graphs.weights import Array, EncoderWeights, Shape

GRAPHS: Final = {"cpu": CPU_GRAPH, "gpu": GPU_GRAPH}
"""The graph's file by device."""
_CONFIGURATIONS: Final = {"cpu": "configs/cpu.pbtxt", "gpu": "config.pbtxt"}
SHAPES: Final[dict[str, dict[str, Any]]] = {
    "rubert_tiny2": {
        "layers": 3, "hidden": 312, "heads": 12, "intermediate": 600, "vocabulary": 83_828, "max_length": 128,
        "pad_id": 0, "unk_id": 1, "layer_norm_epsilon": 1e-12,
    },
    "xlm_roberta_base": {
        "layers": 12, "hidden": 768, "heads": 12, "intermediate": 3072, "vocabulary": 250_002, "max_length": 128,
        "pad_id": 1, "unk_id": 3, "layer_norm_epsilon": 1e-5,
    },
}  # fmt: skip
"""The real shapes of cointegrated/rubert-tiny2 and FacebookAI/xlm-roberta-base, cut to 128 positions, as cards do."""
NOTHING: Final = "nothing"
"""The model whose graph computes nothing."""


@contextlib.contextmanager
def with_instances(repository: Path, model: str, instances: int, device: str = "cpu") -> Iterator[Path]:
    """A copy of a repository with one model's newest version, which has so many instances on the device."""
    with tempfile.TemporaryDirectory() as scratch:
        copy, newest = Path(scratch), newest_version(repository, model).name
        shutil.copytree(
            repository / model, copy / model,
            ignore=lambda _, names: {name for name in names if name.isdigit() and name != newest},
        )  # fmt: skip
        path = copy / model / _CONFIGURATIONS[device]
        config = text_format.Parse(path.read_text(encoding="utf-8"), pb.ModelConfig())
        for group in config.instance_group:
            group.count = instances
        path.write_text(text_format.MessageToString(config), encoding="utf-8")
        yield copy


def with_random_weights(directory: Path, name: str, device: str) -> Path:
    """A repository in `directory` with the encoder `SHAPES[name]` as version 1, made once; its weights are random."""

    def graph() -> bytes:
        from training.export.graphs.cpu import build_cpu_graph
        from training.export.graphs.gpu import build_gpu_graph
        from training.export.graphs.weights import Shape

        weights = random_weights(Shape(**SHAPES[name]))
        model = build_cpu_graph(weights, "int8") if device == "cpu" else build_gpu_graph(weights, "fp16")
        return bytes(model.SerializeToString())

    return _made_once(directory, name, device, graph)


def with_nothing(directory: Path, device: str) -> Path:
    """A repository in `directory` with the model `NOTHING`, version 1, made once.

    It is configured as every model here, takes what they take, on a GPU has both inputs copied there and the answer
    back, and answers zeros: what is left is the cost of Triton and its backend.
    """

    def graph() -> bytes:
        from onnx import TensorProto

        from training.export.graphs.writer import GraphWriter

        g = GraphWriter()
        # Both inputs are used, times zero: what a graph doesn't use isn't copied to the GPU.
        rows = g.node("Cast", ITEM_SHAPE, to=TensorProto.FLOAT)
        zeros = g.node("Mul", rows, g.constant(np.zeros((1, len(EMOTIONS)), np.float32)))
        ids = g.node("ReduceSum", g.node("Cast", INPUT_IDS, to=TensorProto.FLOAT), keepdims=0)
        zero = g.node("Mul", ids, g.constant(np.float32(0)))
        return bytes(g.finish(zeros, zero, "Computes nothing").SerializeToString())

    return _made_once(directory, NOTHING, device, graph)


def _made_once(directory: Path, name: str, device: str, graph: Callable[[], bytes]) -> Path:
    version = directory / name / "1"
    path = version / GRAPHS[device]
    if not path.exists():
        write_model_directory(directory / name, name)
        version.mkdir(parents=True, exist_ok=True)
        unfinished = version / "unfinished"
        unfinished.write_bytes(graph())
        unfinished.rename(path)
    return directory


def random_weights(shape: "Shape") -> "EncoderWeights":
    """Weights with the spread that encoders start their training from."""
    from training.export.graphs.weights import EncoderWeights

    random = np.random.default_rng(0)
    hidden, inner = shape.hidden, shape.intermediate
    arrays: dict[str, Array] = {}

    def draw(name: str, *size: int) -> None:
        arrays[name] = random.standard_normal(size, dtype=np.float32) * np.float32(0.02)

    def linear(name: str, rows: int, columns: int) -> None:
        draw(f"{name}.weight", rows, columns)
        draw(f"{name}.bias", columns)

    def norm(name: str) -> None:
        arrays[f"{name}.weight"], arrays[f"{name}.bias"] = np.ones(hidden, np.float32), np.zeros(hidden, np.float32)

    draw("embeddings.word", shape.vocabulary, hidden)
    draw("embeddings.position", shape.max_length, hidden)
    norm("embeddings.norm")
    for layer in range(shape.layers):
        linear(f"layer.{layer}.qkv", hidden, 3 * hidden)
        linear(f"layer.{layer}.context", hidden, hidden)
        linear(f"layer.{layer}.up", hidden, inner)
        linear(f"layer.{layer}.down", inner, hidden)
        norm(f"layer.{layer}.norm1")
        norm(f"layer.{layer}.norm2")
    linear("head.dense", hidden, hidden)
    linear("head.out", hidden, 6)
    return EncoderWeights(shape, arrays)

"""Model repositories made for a measurement: another number of instances, or encoders of other shapes."""

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2 as pb

from contract.version_directory import CPU_GRAPH, GPU_GRAPH
from training.export.graphs.cpu import build_cpu_graph
from training.export.graphs.gpu import build_gpu_graph
from training.export.graphs.weights import Array, EncoderWeights, Shape
from training.export.triton_config import write_model_directory

_CONFIGURATIONS: Final = {"cpu": "configs/cpu.pbtxt", "gpu": "config.pbtxt"}
SHAPES: Final = {
    "rubert_tiny2": Shape(3, 312, 12, 600, 83_828, 128, 0, 1, 1e-12),
    "xlm_roberta_base": Shape(12, 768, 12, 3072, 250_002, 128, 1, 3, 1e-5),
}
"""The real shapes of cointegrated/rubert-tiny2 and FacebookAI/xlm-roberta-base, cut to 128 positions."""


@contextlib.contextmanager
def with_instances(repository: Path, model: str, instances: int, device: str = "cpu") -> Iterator[Path]:
    """A copy of a repository with one model, which has so many instances on the device."""
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(scratch)
        shutil.copytree(repository / model, copy / model)
        path = copy / model / _CONFIGURATIONS[device]
        config = text_format.Parse(path.read_text(encoding="utf-8"), pb.ModelConfig())
        for group in config.instance_group:
            group.count = instances
        path.write_text(text_format.MessageToString(config), encoding="utf-8")
        yield copy


def with_random_weights(directory: Path, name: str, device: str) -> Path:
    """A repository in `directory` with the encoder `SHAPES[name]` as version 1, made once; its weights are random."""
    graph = CPU_GRAPH if device == "cpu" else GPU_GRAPH
    version = directory / name / "1"
    if not (version / graph).exists():
        weights = random_weights(SHAPES[name])
        model = build_cpu_graph(weights, "int8") if device == "cpu" else build_gpu_graph(weights, "fp16")
        write_model_directory(directory / name, name)
        version.mkdir(parents=True, exist_ok=True)
        unfinished = version / "unfinished"
        unfinished.write_bytes(model.SerializeToString())
        unfinished.rename(version / graph)
    return directory


def random_weights(shape: Shape) -> EncoderWeights:
    """Weights with the spread that encoders start their training from."""
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

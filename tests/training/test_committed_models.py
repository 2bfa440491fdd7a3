"""The model repository in git is what training writes, whole and loadable everywhere it must be."""

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2

from contract.labels import EMOTIONS
from contract.version_directory import CARD, CPU_GRAPH, GPU_GRAPH, TOKENIZER, read_card, sha256
from tests.triton_process import ROOT
from training.export import gate
from training.export.gpu_weights import make_gpu_graph
from training.export.runtime import run, session
from training.export.weights import Shape
from training.triton_config import model_config

REPOSITORY = ROOT / "model_repository"
MODELS = sorted(path.name for path in REPOSITORY.iterdir() if path.is_dir())
VERSIONS = sorted(path.parent for path in REPOSITORY.glob(f"*/*/{CARD}"))


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize(("path", "device"), [("config.pbtxt", "gpu"), ("configs/cpu.pbtxt", "cpu")])
def test_configurations_are_what_training_writes(name: str, path: str, device: str) -> None:
    text = (REPOSITORY / name / path).read_text(encoding="utf-8")
    config = text_format.Parse(text, model_config_pb2.ModelConfig())
    assert config == model_config(name, "gpu" if device == "gpu" else "cpu")
    assert config.default_model_filename == f"model.{device}.onnx"
    assert config.max_batch_size == 64
    assert config.input[0].allow_ragged_batch
    assert config.batch_input[0].kind == model_config_pb2.BatchInput.BATCH_ITEM_SHAPE
    assert config.version_policy.latest.num_versions == 2
    assert (REPOSITORY / name / "labels.txt").read_text().split() == list(EMOTIONS)


@pytest.mark.parametrize("directory", VERSIONS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_a_version_is_whole(directory: Path) -> None:
    card = read_card(directory)
    assert {CPU_GRAPH, TOKENIZER} <= card.files.keys()
    for name in (CPU_GRAPH, TOKENIZER):
        assert sha256(directory / name) == card.files[name]
    dev = next(figures for split, figures in card.metrics.items() if split.startswith("dev"))
    assert dev["mean"]["roc_auc"] >= 0.90
    model = onnx.load(directory / CPU_GRAPH)
    gate.check_format(model, {"MultiHeadAttention": int(card.architecture["layers"])})


@pytest.mark.parametrize("directory", VERSIONS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_a_version_answers_bad_rows_like_their_cleaned_form(directory: Path) -> None:
    shape = Shape(**read_card(directory).architecture)  # type: ignore[arg-type]
    rows = [[2, *range(100, 100 + length), 3] for length in range(1, 20)]
    gate.check_hostile("int8", session(directory / CPU_GRAPH), rows, shape, 5e-3)


def test_weights_fit_the_repository() -> None:
    assert sum(path.stat().st_size for path in REPOSITORY.rglob(CPU_GRAPH)) < 36e6


def test_gpu_weights_come_from_the_committed_ones(tmp_path: Path) -> None:
    for name in (CPU_GRAPH, CARD):
        (tmp_path / name).write_bytes((VERSIONS[0] / name).read_bytes())
    graph = make_gpu_graph(tmp_path)
    assert graph == tmp_path / GPU_GRAPH
    layers = json.loads((tmp_path / CARD).read_text())["architecture"]["layers"]
    gate.check_format(onnx.load(graph), {"Attention": layers, "BiasGelu": layers})
    answers = run(session(graph), [[2, 500, 3], [2, *range(600, 640), 3]])
    assert np.isfinite(answers).all()

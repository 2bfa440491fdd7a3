"""The model repository in git is what training writes, whole and loadable everywhere it must be."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2

from contract.labels import EMOTIONS
from contract.text_models import is_text_model
from contract.version_directory import CARD, CPU_GRAPH, GPU_GRAPH, TOKENIZER, read_card, read_gpu_record, sha256
from tests.support.triton_process import ROOT
from training.encoder.tokenizer import load_tokenizer
from training.export.gate import checks as gate
from training.export.gpu_graph_files import make_gpu_graph
from training.export.graphs import gpu as gpu_graph
from training.export.graphs.portable import portable
from training.export.graphs.runtime import run, session
from training.export.graphs.weights import Shape
from training.export.integrity import damage
from training.export.triton_config import model_config
from training.publish.versions import versions_of

REPOSITORY = ROOT / "model_repository"
MODELS = sorted(path.name for path in REPOSITORY.iterdir() if path.is_dir() and not is_text_model(path.name))
VERSIONS = [version for model in MODELS for version in versions_of(REPOSITORY / model)]
every_version = pytest.mark.parametrize("directory", VERSIONS, ids=lambda path: f"{path.parent.name}/{path.name}")


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


def test_every_model_has_a_version_and_all_of_them_are_small() -> None:
    assert {version.parent.name for version in VERSIONS} == set(MODELS) != set()
    files = [path for path in REPOSITORY.rglob("*") if path.is_file() and not path.name.startswith("model.gpu")]
    assert sum(path.stat().st_size for path in files) < 45_000_000


@every_version
def test_a_version_is_whole(directory: Path) -> None:
    assert damage(directory) == []
    card = read_card(directory)
    assert card.model == directory.parent.name
    dev = next(figures for split, figures in card.metrics.items() if split.startswith("dev"))
    assert dev["mean"]["roc_auc"] >= 0.90


@every_version
def test_its_graph_loads_in_every_triton_it_must(directory: Path) -> None:
    model = onnx.load(directory / CPU_GRAPH)
    # Which operators it must have was for the export that wrote it to check.
    gate.check_format(model, {})
    # Said here once more without the gate's help: what Triton 24.10's ONNX Runtime takes.
    assert {entry.domain: entry.version for entry in model.opset_import}[""] == 17
    assert model.ir_version <= 10


@every_version
def test_its_answers_to_bad_rows_are_those_to_their_cleaned_form(directory: Path) -> None:
    shape = Shape(**read_card(directory).architecture)  # type: ignore[arg-type]
    rows = [[2, *range(100, 100 + length), 3] for length in range(1, 20)]
    gate.check_malformed_rows("int8", session(directory / CPU_GRAPH), rows, shape, 5e-3)


@every_version
def test_its_tokenizer_takes_special_tokens_in_a_text_for_text(directory: Path) -> None:
    card, tokenizer = read_card(directory), load_tokenizer(str(directory))
    frame = tokenizer.encode("").ids
    assert len(frame) == 2
    for text in ("до [SEP] [PAD] [CLS] [MASK] после", "до <s> </s> <pad> <mask> после"):
        ids = tokenizer.encode(text).ids
        assert [ids[0], ids[-1]] == frame
        assert not {card.pad_id, *frame} & set(ids[1:-1])
    assert tokenizer.get_vocab_size() <= card.architecture["vocabulary"]


@every_version
def test_gpu_weights_come_from_the_committed_ones(directory: Path, tmp_path: Path) -> None:
    for name in (CPU_GRAPH, CARD, TOKENIZER):
        (tmp_path / name).write_bytes((directory / name).read_bytes())
    graph = make_gpu_graph(tmp_path)
    assert graph == tmp_path / GPU_GRAPH
    assert read_gpu_record(tmp_path).sha256 == sha256(graph)
    assert damage(tmp_path) == []
    shape = Shape(**read_card(directory).architecture)  # type: ignore[arg-type]
    gate.check_format(onnx.load(graph), gpu_graph.fused_operators(shape))
    sample = read_gpu_record(tmp_path).sample
    assert sample is not None
    assert [len(row) for row in sample.rows] == [9, 40, 1, 130, 2, 17, 64, 33]
    answers = np.array(sample.probabilities)
    assert np.abs(answers - run(session(directory / CPU_GRAPH), sample.rows)).mean() < 0.02
    assert (answers.std(axis=0) > 0.001).all(), "answers all alike would let a wrong GPU pass"
    gate.check_malformed_rows("fp16", session(portable(onnx.load(graph))), sample.rows, shape, 1e-2)

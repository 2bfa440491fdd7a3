"""The CPU graphs on other ONNX Runtimes, each in an environment of its own: `make test-runtimes`.

An environment that cannot be made fails its tests; nothing is skipped.
"""

import json
import subprocess
import sys
from pathlib import Path

import onnx
import onnxruntime
import pytest

from contract.version_directory import CPU_GRAPH, read_card, version_directories
from tests.support.triton_process import ROOT
from tests.training.support.random_classifier import classifier
from training.common.command import TrainingError
from training.export.gate import runtimes
from training.export.gate.runtimes import check_on, environment
from training.export.graphs.cpu import build_cpu_graph
from training.export.graphs.runtime import session
from training.export.sample import record_sample

VERSIONS = version_directories(ROOT / "model_repository")
every_version = pytest.mark.parametrize("directory", VERSIONS, ids=lambda path: f"{path.parent.name}/{path.name}")


@pytest.mark.runtimes
@pytest.mark.parametrize("version", ["1.24.4", "1.27.0", "1.28.0", onnxruntime.__version__])
@every_version
def test_committed_graphs_are_right_on_every_onnx_runtime(directory: Path, version: str) -> None:
    found = check_on(version, directory)
    assert found["onnxruntime"] == version
    assert found["largest_difference"] <= 5e-3


@pytest.mark.runtimes
@pytest.mark.parametrize("version", runtimes.OLDER)
def test_a_new_graph_answers_alike_to_the_last_bit(version: str, tmp_path: Path) -> None:
    """A record has five digits, so that more than half of the last is another answer."""
    encoder = classifier("bert", hidden_size=96, num_hidden_layers=6, intermediate_size=384)
    graph, sample = tmp_path / CPU_GRAPH, tmp_path / "sample.json"
    onnx.save(build_cpu_graph(encoder.weights, "int8"), graph)
    sample.write_text(record_sample(session(graph), encoder.rows, encoder.shape).model_dump_json())
    assert check_on(version, graph, sample)["largest_difference"] <= 6e-6


@pytest.mark.runtimes
def test_a_tile_without_rows_ends_an_old_runtime_and_is_said(tmp_path: Path) -> None:
    """Eight tiles for two rows, as graphs had before: MultiHeadAttention divides by the rows of a tile."""
    model = onnx.load(VERSIONS[0] / CPU_GRAPH)
    few = next(node for node in model.graph.node if node.op_type == "Xor")
    many = next(node for node in model.graph.node if node.op_type == "Not" and node.input[0] == few.input[1])
    # Few rows go where many belong.
    few.input[1] = few.input[0]
    many.input[0] = few.input[0]
    graph, sample = tmp_path / CPU_GRAPH, tmp_path / "sample.json"
    onnx.save(model, graph)
    recorded = read_card(VERSIONS[0]).sample
    assert recorded is not None
    sample.write_text(recorded.model_dump_json())
    with pytest.raises(TrainingError, match=r"ends ONNX Runtime 1\.24\.4 with signal 8"):
        check_on("1.24.4", graph, sample)


@every_version
def test_committed_versions_answer_here_as_they_record(directory: Path) -> None:
    assert check_on(onnxruntime.__version__, directory)["largest_difference"] <= 1e-3


@pytest.mark.parametrize(("row", "change"), [(3, 0.02), (0, -0.02), (20, float("nan"))])
def test_another_answer_than_recorded_is_said(tmp_path: Path, row: int, change: float) -> None:
    sample = json.loads((VERSIONS[0] / "card.json").read_text())["sample"]
    sample["probabilities"][row][1] += change
    (tmp_path / "sample.json").write_text(json.dumps(sample))
    with pytest.raises(TrainingError, match=r"moves a probability by (0\.0\d+|nan); at most 0\.005 is allowed"):
        check_on(onnxruntime.__version__, VERSIONS[0] / CPU_GRAPH, tmp_path / "sample.json")


def test_an_environment_that_cannot_be_made_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(TrainingError, match=r"ONNX Runtime 1\.24\.4, .* cannot be installed into .*--without-oldest"):
        environment("1.24.4", tmp_path)
    assert not (tmp_path / "1.24.4" / ".ready").exists()


def test_a_card_without_a_sample_is_said(tmp_path: Path) -> None:
    (tmp_path / "card.json").write_text("{}")
    done = subprocess.run(
        [sys.executable, Path(runtimes.__file__).with_name("on_runtime.py"), tmp_path], capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"{tmp_path}/card.json records no answers to check with: publish the version again\n"

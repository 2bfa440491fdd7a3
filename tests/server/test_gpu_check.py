"""The check that a GPU machine makes of its GPU graphs; here with graphs that a CPU can run."""

import json
import subprocess
from pathlib import Path

import onnx
import pytest

from contract.version_directory import CARD, CPU_GRAPH, GPU_GRAPH, GPU_RECORD, TOKENIZER, sha256
from server import gpu_check
from server.gpu_check import GpuCheckError, check
from tests.support.committed import committed
from tests.support.triton_process import ROOT, triton_environment
from training.export.gpu_graph_files import make_gpu_graph
from training.export.graphs.portable import portable

GPU_PYTHON = ROOT / ".venv-triton-gpu/bin/python"


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with one version that has a GPU graph and its record."""
    directory = tmp_path_factory.mktemp("published") / "emotion_rubert/1"
    directory.mkdir(parents=True)
    for name in (CPU_GRAPH, CARD, TOKENIZER):
        (directory / name).write_bytes((committed() / name).read_bytes())
    make_gpu_graph(directory)
    return directory.parents[1]


@pytest.fixture
def graph(published: Path, tmp_path: Path) -> Path:
    """The same graph in a form that a CPU can run, with a record that says so."""
    directory, copy = published / "emotion_rubert/1", tmp_path / "emotion_rubert/1"
    copy.mkdir(parents=True)
    onnx.save(portable(onnx.load(directory / GPU_GRAPH)), copy / GPU_GRAPH)
    record = json.loads((directory / GPU_RECORD).read_text())
    (copy / GPU_RECORD).write_text(json.dumps(record | {"sha256": sha256(copy / GPU_GRAPH)}))
    return copy / GPU_GRAPH


def change(graph: Path, **changes: object) -> None:
    path = graph.with_name(GPU_RECORD)
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_the_names_are_the_contracts() -> None:
    # The check runs where pydantic is not, and so can't import them.
    assert (gpu_check.GRAPH, gpu_check.RECORD) == (GPU_GRAPH, GPU_RECORD)


def test_a_graph_that_answers_as_recorded(graph: Path) -> None:
    assert check(graph, "CPU") < 1e-4


def test_a_graph_that_answers_otherwise(graph: Path) -> None:
    """As a kernel would that takes other tokens for a row's: one probability is enough."""
    sample = json.loads(graph.with_name(GPU_RECORD).read_text())["sample"]
    sample["probabilities"][3][2] += 0.02 if sample["probabilities"][3][2] < 0.5 else -0.02
    change(graph, sample=sample)
    with pytest.raises(GpuCheckError, match=r"answers wrongly here: a probability is off by 0\.02, and at most 0\.01"):
        check(graph, "CPU")


def test_attention_that_reads_beyond_a_row(graph: Path) -> None:
    model = onnx.load(graph)
    # Without lengths every row attends to its padding.
    for node in model.graph.node:
        if node.op_type == "MultiHeadAttention":
            del node.input[3:]
    onnx.save(model, graph)
    change(graph, sha256=sha256(graph))
    with pytest.raises(GpuCheckError, match="answers wrongly here"):
        check(graph, "CPU")


def test_what_cannot_be_checked_is_said(graph: Path) -> None:
    change(graph, sample=None)
    with pytest.raises(GpuCheckError, match=r"nothing to check with, as it is from an earlier release: remove model"):
        check(graph, "CPU")
    graph.write_bytes(graph.read_bytes() + b"more")
    with pytest.raises(GpuCheckError, match=r"is not the file model\.gpu\.json describes"):
        check(graph, "CPU")
    graph.with_name(GPU_RECORD).unlink()
    with pytest.raises(GpuCheckError, match=r"model\.gpu\.json can't be read"):
        check(graph, "CPU")


def run_check(python: Path, repository: Path) -> subprocess.CompletedProcess[str]:
    command = [python, "-m", "server.gpu_check", "--repository", repository]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_without_a_gpu_the_command_says_so(published: Path, tmp_path: Path) -> None:
    """In Triton's own environment for CPUs: what the check imports must be there."""
    python = triton_environment() / "bin/python"
    done = run_check(python, published)
    assert done.returncode == 1
    assert "a KIND_GPU instance got no GPU" in done.stderr
    done = run_check(python, tmp_path)
    assert (done.returncode, done.stderr) == (1, f"error: {tmp_path} holds no model.gpu.onnx: run `make gpu-weights`\n")


@pytest.mark.skipif(not GPU_PYTHON.exists(), reason="needs a GPU and Triton's environment for it")
def test_the_packed_graph_on_a_gpu_answers_as_its_portable_form_does(published: Path) -> None:
    done = run_check(GPU_PYTHON, published)
    assert done.returncode == 0, done.stderr
    assert "answers as it should" in done.stdout

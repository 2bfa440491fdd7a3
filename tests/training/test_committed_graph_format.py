"""Committed graphs and files, read without the help of `training/`."""

from pathlib import Path

import onnx
import pytest

REPOSITORY = Path(__file__).parents[2] / "model_repository"
GRAPHS = sorted(REPOSITORY.glob("*/*/model.cpu.onnx"))


@pytest.mark.parametrize("path", GRAPHS, ids=lambda path: f"{path.parts[-3]}/{path.parts[-2]}")
def test_format_loads_in_every_triton_it_must(path: Path) -> None:
    model = onnx.load(path)
    assert {entry.domain: entry.version for entry in model.opset_import}[""] == 17
    assert {entry.domain for entry in model.opset_import} <= {"", "com.microsoft"}
    assert {node.domain for node in model.graph.node} <= {"", "com.microsoft"}
    assert model.ir_version <= 10


def test_committed_files_are_small() -> None:
    assert GRAPHS
    files = [path for path in REPOSITORY.rglob("*") if path.is_file() and path.name != "model.gpu.onnx"]
    assert sum(path.stat().st_size for path in files) < 36_000_000

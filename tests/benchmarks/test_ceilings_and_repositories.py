"""Graphs in process, and the repositories that are made for a measurement."""

import dataclasses
import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import onnx
import pytest
from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2 as pb

from benchmarks.parts import ceilings
from benchmarks.parts.rounds import run_rounds
from benchmarks.setup import repositories
from benchmarks.setup.texts import newest_version, workload
from contract.version_directory import CPU_GRAPH, GPU_GRAPH, INPUT_IDS, ITEM_SHAPE, PROBABILITIES
from tests.support.triton_process import ROOT, triton_environment
from training.export.graphs.portable import portable
from training.export.graphs.runtime import run, session
from training.export.graphs.weights import Shape

REPOSITORY = ROOT / "model_repository"
VERSION = newest_version(REPOSITORY, "emotion_rubert")
TINY = Shape(2, 24, 4, 48, 50, 16, 0, 1, 1e-12)


def test_a_short_run_of_every_ceiling() -> None:
    texts = workload([f"Текст {number} " + "ещё " * (number % 7) for number in range(40)], VERSION)
    settings = ceilings.CeilingSettings(seconds=0.05, batches=(1, 4), sessions=((1, 1), (2, 1)), growing=(4, 8))
    found = run_rounds(ceilings.subjects(texts, VERSION, settings), 1, lambda _: None)
    assert found.failures == []
    cases = [(one.subject, one.case) for one in found.measurements]
    for sessions in (1, 2):
        name = ceilings.graph_name(sessions, 1)
        assert {case for subject, case in cases if subject == name} == {
            "batch 1, mixed lengths", "batch 4, mixed lengths",
        }  # fmt: skip
    assert [case for subject, case in cases if subject == ceilings.GROWING] == [
        "batch 4, mixed lengths", "batch 4, equal lengths", "batch 8, mixed lengths", "batch 8, equal lengths",
    ]  # fmt: skip
    assert all(figure > 0 for one in found.measurements for figure in one.figures.values())


def test_every_session_works_and_all_is_counted() -> None:
    graph = session(VERSION / CPU_GRAPH)
    feeds = ceilings.batches([[2, 7, 3], [2, 7, 8, 3]], 2)
    rows, tokens, spent = ceilings.run_for([graph, graph], feeds, 0.1)
    assert rows >= 4
    assert tokens / rows == pytest.approx(3.5)
    assert spent >= 0.1


@pytest.mark.parametrize(("device", "path"), [("cpu", "configs/cpu.pbtxt"), ("gpu", "config.pbtxt")])
def test_other_instances_in_a_copy(device: str, path: str) -> None:
    before = (REPOSITORY / "emotion_rubert" / path).read_text()
    with repositories.with_instances(REPOSITORY, "emotion_rubert", 4, device) as copy:
        text = (copy / "emotion_rubert" / path).read_text()
        (group,) = text_format.Parse(text, pb.ModelConfig()).instance_group
        assert group.count == 4
        assert (copy / "emotion_rubert" / VERSION.name / CPU_GRAPH).exists()
    assert (REPOSITORY / "emotion_rubert" / path).read_text() == before
    assert not copy.exists()


@pytest.mark.parametrize(("device", "graph"), [("cpu", CPU_GRAPH), ("gpu", GPU_GRAPH)])
def test_random_weights_make_a_graph_that_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, device: str, graph: str
) -> None:
    monkeypatch.setitem(repositories.SHAPES, "rubert_tiny2", dataclasses.asdict(TINY))
    repository = repositories.with_random_weights(tmp_path, "rubert_tiny2", device)
    path = repository / "rubert_tiny2/1" / graph
    answers = run(session(portable(onnx.load(path))), [[2, 7, 3], [2, 9, 9, 9, 3]])
    assert answers.shape == (2, 6)
    assert np.isfinite(answers).all()
    made = path.stat().st_mtime_ns
    repositories.with_random_weights(tmp_path, "rubert_tiny2", device)
    assert path.stat().st_mtime_ns == made


@pytest.mark.parametrize(("device", "graph"), [("cpu", CPU_GRAPH), ("gpu", GPU_GRAPH)])
def test_a_graph_that_computes_nothing_takes_and_gives_what_the_others_do(
    tmp_path: Path, device: str, graph: str
) -> None:
    path = repositories.with_nothing(tmp_path, device) / repositories.NOTHING / "1" / graph
    nothing, ours = session(path), session(VERSION / CPU_GRAPH)
    for tensors in ("get_inputs", "get_outputs"):
        described = [
            [(one.name, one.type, len(one.shape), one.shape[-1] if one.name == PROBABILITIES else 0) for one in found]
            for found in (getattr(nothing, tensors)(), getattr(ours, tensors)())
        ]
        assert described[0] == described[1]
    assert np.array_equal(run(nothing, [[2, 7, 3], [2, 9, 9, 9, 3]]), np.zeros((2, 6), np.float32))
    # What no node takes is not handed to a GPU.
    taken = {name for node in onnx.load(path).graph.node for name in node.input}
    assert {INPUT_IDS, ITEM_SHAPE} <= taken
    configurations = [
        (directory / "config.pbtxt").read_text().splitlines()[2:]  # behind the name
        for directory in (tmp_path / repositories.NOTHING, REPOSITORY / "emotion_rubert")
    ]
    assert configurations[0] == configurations[1]


def test_a_copy_has_the_newest_version_alone(tmp_path: Path) -> None:
    for version in ("1", "9", "10"):
        (tmp_path / "some" / version).mkdir(parents=True)
    shutil.copytree(REPOSITORY / "emotion_rubert/configs", tmp_path / "some/configs")
    with repositories.with_instances(tmp_path, "some", 3) as copy:
        assert sorted(path.name for path in (copy / "some").iterdir()) == ["10", "configs"]


def test_the_real_shapes() -> None:
    sizes = {}
    for name, architecture in repositories.SHAPES.items():
        shape = Shape(**architecture)
        small = dataclasses.replace(shape, vocabulary=100)
        arrays = repositories.random_weights(small).arrays
        sizes[name] = sum(array.size for array in arrays.values()) + (shape.vocabulary - 100) * shape.hidden
    # cointegrated/rubert-tiny2 has 29.4 million parameters, xlm-roberta-base 278 million; positions beyond 128 are off.
    assert sizes["rubert_tiny2"] == pytest.approx(28.6e6, rel=0.01)
    assert sizes["xlm_roberta_base"] == pytest.approx(278e6, rel=0.01)


def test_a_graph_in_tritons_own_environment(tmp_path: Path) -> None:
    rows = tmp_path / "rows.json"
    rows.write_text(json.dumps([[2, 7, 3], [2, 7, 8, 9, 3]] * 8))
    command = [
        triton_environment() / "bin/python",
        "-m",
        "benchmarks.parts.in_process",
        VERSION,
        CPU_GRAPH,
        "cpu",
        "0.1",
        rows,
    ]
    ended = subprocess.run(
        [*map(str, command), "1", "4"], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )
    assert ended.returncode == 0, ended.stderr
    rates = json.loads(ended.stdout.splitlines()[-1])
    assert list(rates) == ["1", "4"]
    assert all(rate > 0 for rate in rates.values())

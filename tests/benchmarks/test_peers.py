"""The peers compute the same as the served graph, and answer as the load expects."""

import json
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import httpx
import numpy as np
import pytest

from benchmarks.command import BenchmarkError
from benchmarks.parts import http
from benchmarks.peers.classifier import Classifier, PeerSettings
from benchmarks.setup.environments import peer_python
from benchmarks.setup.padded import FP32, INT8, padded_export
from benchmarks.setup.serving import HOST, Server, answers, free_ports, running
from benchmarks.setup.texts import load_tokenizer, newest_version
from contract.labels import EMOTIONS
from contract.version_directory import CPU_GRAPH, TOKENIZER, read_card
from tests.support.triton_process import ROOT
from training.export.graphs.runtime import run, session

VERSION = newest_version(ROOT / "model_repository", "emotion_rubert")
TEXTS = ["Как же я рад тебя видеть!", "Мне очень страшно, я боюсь выходить из дома одна.", "Я зол!", "слово " * 300]


@pytest.fixture(scope="module")
def padded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return padded_export(VERSION, tmp_path_factory.mktemp("padded"))


def peer_settings(graph: Path) -> PeerSettings:
    card = read_card(VERSION)
    return PeerSettings(str(graph), str(VERSION / TOKENIZER), card.max_length, card.pad_id, list(EMOTIONS), threads=1)


def test_every_peer_graph_answers_as_the_served_one(padded: Path) -> None:
    rows = [encoding.ids for encoding in load_tokenizer(VERSION).encode_batch(TEXTS)]
    served = run(session(VERSION / CPU_GRAPH), rows)
    for graph, bound in ((VERSION / CPU_GRAPH, 1e-5), (padded / FP32, 0.05), (padded / INT8, 0.2)):
        found = np.array([list(one.values()) for one in Classifier(peer_settings(graph))(TEXTS)])
        assert np.abs(found - served).max() < bound, graph
        assert (found.argmax(1) == served.argmax(1)).all()


def test_the_export_is_made_once(padded: Path) -> None:
    before = (padded / FP32).stat().st_mtime_ns
    assert padded_export(VERSION, padded.parent) == padded
    assert (padded / FP32).stat().st_mtime_ns == before


@pytest.fixture(scope="module")
def fastapi_peer(padded: Path) -> Iterator[Server]:
    """The program that `make bench` runs, here in the tests' own environment, which has its packages."""
    (port,) = free_ports(1)
    command = [sys.executable, "-m", "uvicorn", "benchmarks.peers.fastapi_onnx:app", f"--port={port}"]
    variables = {"EMOTION_PEER": json.dumps(asdict(peer_settings(padded / INT8)))}
    with running("the peer", command, f"{HOST}:{port}", answers(port, "/health"), variables) as server:
        yield server


def test_the_fastapi_peer_over_http(fastapi_peer: Server) -> None:
    with httpx.Client(base_url=f"http://{fastapi_peer.url}", trust_env=False, timeout=30) as client:
        many = client.post("/predict", json={"texts": TEXTS}).json()["results"]
        one = client.post("/predict", json={"text": TEXTS[0]}).json()["results"]
    assert len(many) == len(TEXTS)
    assert one[0]["emotion"] == many[0]["emotion"] == "joy"
    assert list(one[0]["probabilities"]) == list(EMOTIONS)


def test_a_wrong_answer_is_not_measured(fastapi_peer: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    target = http.Target(int(fastapi_peer.url.partition(":")[2]), "/predict", {"server": fastapi_peer.pid})
    http._check_answer(target)
    monkeypatch.setattr(http, "_EXPECTED", "fear")
    with pytest.raises(BenchmarkError, match=r"it finds joy in .* not fear"):
        http._check_answer(target)
    with pytest.raises(BenchmarkError, match="it answers 404"):
        http._check_answer(http.Target(target.port, "/nowhere", target.pids))


def test_requirements_that_pip_can_not_install_are_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.setup.environments.BUILD", tmp_path)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    requirements = tmp_path / "requirements-none.txt"
    requirements.write_text("a-package-that-is-not-there==1\n")
    with pytest.raises(BenchmarkError, match=r"pip can't install .*requirements-none.txt"):
        peer_python(requirements)
    assert not (tmp_path / "environments/none/requirements.sha256").exists()


def test_every_peer_is_pinned() -> None:
    for path in (ROOT / "benchmarks/peers").glob("requirements-*.txt"):
        lines = [line for line in path.read_text().splitlines() if line and not line.startswith("#")]
        assert lines
        assert all("==" in line for line in lines), path

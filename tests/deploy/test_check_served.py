"""`make check-served` against the real tritonserver."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from contract.version_directory import CARD, CPU_GRAPH, TOKENIZER
from tests.support.committed import committed
from tests.support.triton_process import ROOT, TritonProcess, running_triton

MODEL = "emotion_rubert"


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One model with the committed version twice."""
    repository = tmp_path_factory.mktemp("served")
    shutil.copytree(committed(MODEL).parent, repository / MODEL, ignore=shutil.ignore_patterns("[0-9]*"))
    for version in ("1", "2"):
        shutil.copytree(committed(MODEL), repository / MODEL / version, ignore=shutil.ignore_patterns("model.gpu*"))
    return repository


@pytest.fixture(scope="module")
def triton(repository: Path) -> Iterator[TritonProcess]:
    with running_triton(repository) as process:
        yield process


def check(url: str, repository: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "deploy.check_served", "--url", url, "--repository", repository, *flags]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)


@pytest.fixture
def local(repository: Path, tmp_path: Path) -> Path:
    """A copy of what the operator has at hand, to be changed."""
    for version in ("1", "2"):
        directory = tmp_path / MODEL / version
        directory.mkdir(parents=True)
        for name in (CPU_GRAPH, CARD, TOKENIZER):
            (directory / name).symlink_to(repository / MODEL / version / name)
    return tmp_path


def change_card(local: Path, version: str, **changes: object) -> None:
    path = local / MODEL / version / CARD
    card = json.loads(path.read_text())
    path.unlink()
    path.write_text(json.dumps(card | changes))


@pytest.mark.parametrize("flags", [(), ("--hostile",)])
def test_versions_that_answer_as_recorded(triton: TritonProcess, repository: Path, flags: tuple[str, ...]) -> None:
    done = check(triton.grpc_url, repository, *flags)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert [line.split(" at ")[0] for line in lines] == [f"{MODEL} version {version}" for version in (1, 2)]
    assert all("(CPU) answers as it should: off by " in line for line in lines)


def test_a_version_that_answers_otherwise_is_named_and_the_other_passes(triton: TritonProcess, local: Path) -> None:
    sample = json.loads((local / MODEL / "2" / CARD).read_text())["sample"]
    first = sample["probabilities"][5]
    first[0] += 0.03 if first[0] < 0.5 else -0.03
    change_card(local, "2", sample=sample)
    done = check(triton.grpc_url, local)
    assert done.returncode == 1
    assert "version 1" in done.stdout
    assert (
        f"error: {MODEL} version 2 at {triton.grpc_url} answers wrongly: of rows alone a probability is off by 0.03"
        in done.stderr
    )


def test_what_cannot_be_checked_is_said(triton: TritonProcess, local: Path) -> None:
    change_card(local, "1", sample=None)
    (local / MODEL / "3").mkdir()
    (local / MODEL / "2" / CARD).unlink()
    done = check(triton.grpc_url, local)
    assert done.returncode == 1
    # Of three versions Triton serves the newest two.
    assert "version 1" not in done.stdout + done.stderr
    assert f"{MODEL} version 2 at {triton.grpc_url} can't be checked: " in done.stderr
    assert f"version 3 is in {local / MODEL} but not served at {triton.grpc_url}" in done.stderr
    (local / MODEL / "3").rmdir()
    done = check(triton.grpc_url, local)
    assert "version 1" in done.stderr
    assert "records no answers, as it is from an earlier release; publish it again" in done.stderr


def test_a_model_that_is_not_served_is_said(triton: TritonProcess, local: Path) -> None:
    (local / MODEL).rename(local / "emotion_other")
    done = check(triton.grpc_url, local)
    assert (done.returncode, done.stdout) == (1, "")
    assert f"error: emotion_other is not served at {triton.grpc_url}" in done.stderr


def test_without_a_triton_or_versions_it_is_said(local: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    done = check("127.0.0.1:1", local)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert done.stderr.startswith("error: no Triton answers at 127.0.0.1:1: ")
    empty = tmp_path_factory.mktemp("empty")
    assert check("127.0.0.1:1", empty).stderr == f"error: {empty} holds no versions\n"

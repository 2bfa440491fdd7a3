"""What is seen of the copy while it is being brought up to date, or while something is wrong with the bucket."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from deploy.storage.bucket import Bucket
from deploy.storage.copy import LocalCopy
from deploy.storage.policy import chosen_versions
from deploy.storage.push import push
from tests.deploy.storage.store import MODEL, Store, add_version, files, storage
from tests.support.triton_process import ROOT
from tests.support.waiting import wait_until

pytestmark = pytest.mark.storage

TRIAL = f"{MODEL}.canary.json"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return tmp_path / "volume" / "models"


def remove_version(repository: Path, number: int) -> None:
    """As quarantine does, after which a push names the others alone."""
    (repository / f"{MODEL}_text" / str(number)).unlink()
    shutil.rmtree(repository / MODEL / str(number))


def update(copy: LocalCopy, times: int = 1) -> list[str]:
    """Keep the copy as a sidecar does; gives what was wrong the last time."""
    problems: list[str] = []
    with copy.locked():
        for _ in range(times):
            problems = copy.update(print)
            time.sleep(0.02)
    return problems


def test_what_is_here_stays_while_what_is_to_replace_it_is_damaged(store: Store, repository: Path, copy: Path) -> None:
    storage("push", repository, store.address)
    kept = LocalCopy(copy, Bucket(store.address), keep_seconds=0.01)
    assert update(kept) == []
    add_version(repository, 2)
    remove_version(repository, 1)
    storage("push", repository, store.address)
    graph = store.get(f"{MODEL}/2/model.cpu.onnx")
    store.put(f"{MODEL}/2/model.cpu.onnx", graph[:1000])
    before = files(copy)
    assert "is not what its card says" in " ".join(update(kept, times=3))
    assert files(copy) == before, "its configuration names version 1"
    kept._damaged.clear()
    store.put(f"{MODEL}/2/model.cpu.onnx", graph)
    assert update(kept, times=3) == []
    assert [path.name for path in (copy / MODEL).iterdir() if path.name.isdigit()] == ["2"]


def test_a_version_stays_on_trial_until_it_is_gone(
    store: Store, repository: Path, copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else one that was taken back would answer all while the next is fetched, and until Triton has unloaded it."""
    add_version(repository, 2)
    (repository / TRIAL).write_text('{"2": "5%"}')
    storage("push", repository, store.address)
    kept = LocalCopy(copy, Bucket(store.address), keep_seconds=1.0)
    assert update(kept) == []
    add_version(repository, 3)
    remove_version(repository, 2)
    (repository / TRIAL).write_text('{"3": "10%"}')
    storage("push", repository, store.address)
    seen = []
    replace = os.replace

    def look(*paths: Path) -> None:
        replace(*paths)
        if (copy / MODEL / "2").exists():
            seen.append(json.loads((copy / TRIAL).read_text()).get("2"))

    monkeypatch.setattr(os, "replace", look)
    assert update(kept) == []
    assert set(seen) == {"5%"}
    assert json.loads((copy / TRIAL).read_text()) == {"2": "5%", "3": "10%"}
    time.sleep(1)
    assert update(kept, times=2) == []
    assert json.loads((copy / TRIAL).read_text()) == {"3": "10%"}
    remove_version(repository, 3)
    for damaged in (b"[]", b"[" * 100_000):
        (repository / TRIAL).write_bytes(damaged)
        storage("push", repository, store.address)
        assert update(kept) == []
        assert (copy / TRIAL).read_bytes() == damaged, "the gateway says what is wrong with it"
    (repository / TRIAL).unlink()
    storage("push", repository, store.address)
    assert update(kept) == []
    assert not (copy / TRIAL).exists()


def test_a_trial_that_cannot_be_read_keeps_its_version_out(store: Store, repository: Path, copy: Path) -> None:
    storage("push", repository, store.address)
    kept = LocalCopy(copy, Bucket(store.address), keep_seconds=0.01)
    assert update(kept) == []
    add_version(repository, 2)
    (repository / TRIAL).write_text('{"2": "5%"}')
    storage("push", repository, store.address)
    store.put(TRIAL, b" " * (2 << 20))
    assert any(TRIAL in problem for problem in update(kept, times=2))
    assert chosen_versions((copy / MODEL / "config.pbtxt").read_bytes(), "", ()) == {"1"}
    store.put(TRIAL, b'{"2": "5%"}')
    assert update(kept) == []
    assert chosen_versions((copy / MODEL / "config.pbtxt").read_bytes(), "", ()) == {"1", "2"}


def test_a_model_is_there_with_its_configuration_which_comes_last(
    store: Store, repository: Path, copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a CPU Triton takes config.pbtxt, which is the GPU's, where configs/cpu.pbtxt is not there yet."""
    written: list[str] = []

    class Recorded(Bucket):
        def upload(self, name: str, content: Path | bytes) -> str | None:
            written.append(name)
            return super().upload(name, content)

    push(repository, Recorded(store.address), print, prune=False)
    assert [name for name in written if name.startswith(f"{MODEL}/")][-1] == f"{MODEL}/config.pbtxt"
    config = store.get(f"{MODEL}/config.pbtxt")
    store.remove(f"{MODEL}/config.pbtxt")
    kept = LocalCopy(copy, Bucket(store.address), keep_seconds=0.01)
    assert any("has no config.pbtxt" in problem for problem in update(kept))
    assert not (copy / MODEL).exists()
    store.put(f"{MODEL}/config.pbtxt", config)
    replace = os.replace

    def look(*paths: Path) -> None:
        replace(*paths)
        if (copy / MODEL / "config.pbtxt").exists():
            assert (copy / MODEL / "configs/cpu.pbtxt").exists()

    monkeypatch.setattr(os, "replace", look)
    assert update(kept) == []
    assert files(copy) == files(repository)
    store.remove(f"{MODEL}/config.pbtxt")
    assert update(kept, times=3)
    assert files(copy) == files(repository), "what is here stays"


def test_two_copies_beside_each_other(store: Store, repository: Path, copy: Path) -> None:
    """One that starts took away what the other was downloading."""
    storage("push", repository, store.address)
    bucket = Bucket(store.address)
    first, second = LocalCopy(copy, bucket, 1.0), LocalCopy(copy.with_name("models-2"), bucket, 1.0)
    with first.locked(), first._staged() as staging:
        assert update(second) == []
        assert staging.exists()


def test_it_is_not_done_before_the_configuration_is_here(
    store: Store, repository: Path, copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As on a disk that has room for the version alone."""
    storage("push", repository, store.address)
    storage("fetch", store.address, copy)
    (copy / MODEL / "config.pbtxt").unlink()
    (copy / MODEL / "config.pbtxt").mkdir()
    assert storage("fetch", store.address, copy, "--patience", 0.1) == 1
    assert f"{MODEL} has no config.pbtxt" in capsys.readouterr().err


def test_a_store_that_does_not_answer_holds_no_stop_up(store: Store, repository: Path, copy: Path) -> None:
    storage("push", repository, store.address)
    command = [sys.executable, "-m", "deploy.storage", "fetch", store.address, str(copy), "--every", "0.1"]
    with subprocess.Popen(command, cwd=ROOT) as sidecar:
        wait_until(lambda: (copy / MODEL / "config.pbtxt").exists())
        store.process.send_signal(signal.SIGSTOP)
        time.sleep(1)
        sidecar.send_signal(signal.SIGTERM)
        try:
            assert sidecar.wait(10) == 0
        finally:
            sidecar.kill()

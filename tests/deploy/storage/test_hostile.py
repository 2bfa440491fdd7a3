"""Directories, repositories and stores in which somebody else has been, or is at the same time."""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from deploy.storage.bucket import Bucket, StorageError
from deploy.storage.copy import LocalCopy
from deploy.storage.push import push
from tests.deploy.storage.store import MODEL, Store, add_version, files, storage
from tests.support.triton_process import ROOT
from tests.support.waiting import wait_until

pytestmark = pytest.mark.storage

CARD = f"{MODEL}/1/card.json"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return tmp_path / "volume" / "models"


def remove_version(copy: Path) -> None:
    shutil.rmtree(copy / MODEL / "1")


def remove_all(copy: Path) -> None:
    shutil.rmtree(copy)


def put_directories(copy: Path) -> None:
    """In the places of files."""
    (copy / "emotion_other.canary.json").mkdir()
    remove_version(copy)
    (copy / MODEL / "config.pbtxt").unlink()
    (copy / MODEL / "config.pbtxt").mkdir()


def put_files(copy: Path) -> None:
    """In the places of directories."""
    shutil.rmtree(copy / MODEL)
    (copy / MODEL).write_text("")


def mend(copy: Path) -> None:
    for path in (copy / "emotion_other.canary.json", copy / MODEL / "config.pbtxt"):
        if path.is_dir():
            path.rmdir()
    if (copy / MODEL).is_file():
        (copy / MODEL).unlink()


@pytest.mark.parametrize("damage", [remove_version, remove_all, put_directories, put_files])
def test_a_sidecar_outlives_what_happens_to_its_directory(
    store: Store, repository: Path, copy: Path, damage: Callable[[Path], None]
) -> None:
    storage("push", repository, store.address)
    command = [sys.executable, "-m", "deploy.storage", "fetch", store.address, str(copy), "--every", "0.2"]
    with (copy.parent.parent / "log").open("w") as log:
        sidecar = subprocess.Popen(command, cwd=ROOT, stderr=log)
    try:
        wait_until(lambda: files(copy) == files(repository))
        damage(copy)
        time.sleep(1)
        assert sidecar.poll() is None, Path(log.name).read_text()
        mend(copy)
        wait_until(lambda: files(copy) == files(repository), lambda: Path(log.name).read_text())
    finally:
        sidecar.send_signal(signal.SIGTERM)
        assert sidecar.wait(10) == 0
    assert "Traceback" not in Path(log.name).read_text()


def test_links_in_the_copy_lead_nowhere(store: Store, repository: Path, copy: Path, tmp_path: Path) -> None:
    add_version(repository, 2)
    storage("push", repository, store.address)
    theirs = tmp_path / "theirs"
    shutil.copytree(repository / MODEL, theirs)
    shutil.rmtree(theirs / "2")
    before = files(theirs)
    kept = LocalCopy(copy, Bucket(store.address), keep_seconds=0.01)
    with kept.locked():
        for name in ("unwanted", MODEL):
            (copy / name).symlink_to(theirs)
        for _ in range(3):
            problems = kept.update(print)
            time.sleep(0.02)
    assert any("is a link" in problem for problem in problems)
    assert files(theirs) == before


def test_a_directory_with_other_things_is_not_taken(
    store: Store, repository: Path, copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It would lose what the bucket lacks."""
    storage("push", repository, store.address)
    (copy / "emotion_own" / "1").mkdir(parents=True)
    assert storage("fetch", store.address, copy, "--patience", 1) == 1
    assert "holds what was not fetched, such as emotion_own" in capsys.readouterr().err
    assert (copy / "emotion_own" / "1").exists()
    (copy / "emotion_own" / "1").rmdir()
    (copy / "emotion_own").rmdir()
    assert storage("fetch", store.address, copy, "--patience", 1) == 0


def test_who_is_stopped_before_the_end_is_not_done(store: Store, copy: Path) -> None:
    """An empty bucket is waited for; whoever starts Triton afterwards must not."""
    command = [sys.executable, "-m", "deploy.storage", "fetch", store.address, str(copy)]
    waiting = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE)
    assert waiting.stderr is not None
    assert b"holds no model" in waiting.stderr.readline()
    waiting.send_signal(signal.SIGTERM)
    assert waiting.wait(10) == 128 + signal.SIGTERM
    waiting.stderr.close()


def test_what_is_no_part_of_a_model_is_not_pushed(store: Store, repository: Path) -> None:
    for directory in (repository / MODEL, repository / MODEL / "1"):
        (directory / ".DS_Store").write_text("a desktop's")
        (directory / "__pycache__").mkdir()
        os.mkfifo(directory / "fifo")
    assert storage("push", repository, store.address) == 0
    assert not [name for name in store.names() if "DS_Store" in name or "pycache" in name or "fifo" in name]


@pytest.mark.parametrize("name", ["config.pbtxt", "configs/cpu.pbtxt"])
def test_what_cannot_be_read_is_named(
    store: Store, repository: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (repository / MODEL / name).unlink()
    (repository / MODEL / name).mkdir()
    assert storage("push", repository, store.address) == 1
    said = capsys.readouterr().err
    assert name in said
    assert "error: " in said


@pytest.mark.parametrize("name", [f"{MODEL}/config.pbtxt", f"{MODEL}/configs/cpu.pbtxt", f"{MODEL}.canary.json"])
def test_a_pipe_in_a_files_place_holds_nobody_up(store: Store, repository: Path, name: str) -> None:
    (repository / name).unlink(missing_ok=True)
    os.mkfifo(repository / name)
    command = [sys.executable, "-m", "deploy.storage", "push", str(repository), store.address]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=20)
    assert done.returncode == 1
    assert f"it is no regular file: '{repository / name}'" in done.stderr


def test_what_is_cut_off_in_the_bucket_is_written_again(store: Store, repository: Path) -> None:
    storage("push", repository, store.address)
    graph = store.get(f"{MODEL}/1/model.cpu.onnx")
    store.put(f"{MODEL}/1/model.cpu.onnx", graph[:1000])
    assert storage("push", repository, store.address) == 0
    assert store.get(f"{MODEL}/1/model.cpu.onnx") == graph


def test_two_that_push_one_version_are_told(store: Store, repository: Path) -> None:
    """Their files would be mixed."""

    class Shared(Bucket):
        def upload(self, name: str, content: Path | bytes) -> str | None:
            if name == CARD:
                store.put(f"{MODEL}/1/model.cpu.onnx", b"the other's")
            return super().upload(name, content)

    with pytest.raises(StorageError, match=r"model\.cpu\.onnx in .* was changed by somebody else"):
        push(repository, Shared(store.address), print, prune=False)


def test_an_answer_that_breaks_off(
    store: Store, repository: Path, copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Between the store and here something closes every connection after some kilobytes."""
    storage("push", repository, store.address)

    class CutsOff(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            import urllib.error
            import urllib.request

            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{store.port}{self.path}") as found:
                    body, headers, status = found.read(), found.headers, found.status
            except urllib.error.HTTPError as error:
                body, headers, status = error.read(), error.headers, error.code
            self.send_response(status)
            for name in ("Content-Type", "ETag", "Last-Modified"):
                if name in headers:
                    self.send_header(name, headers[name])
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[:100_000])
            self.close_connection = True

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), CutsOff) as server:
        threading.Thread(target=server.serve_forever).start()
        try:
            address = store.address.replace(f":{store.port}/", f":{server.server_port}/")
            assert storage("fetch", address, copy, "--patience", 0.1) == 1
        finally:
            server.shutdown()
    said = capsys.readouterr().err
    assert "can't read" in said
    assert "Traceback" not in said
    assert files(copy) == set()
    assert [path.name for path in copy.parent.glob(".*fetching-*")] == []

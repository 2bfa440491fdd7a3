"""A repository goes into a bucket and comes out again, whole or not at all, whatever is wrong with the bucket."""

import hashlib
import json
import signal
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from contract.version_directory import MOST_BYTES, GpuGraph, read_card
from deploy.storage.bucket import Bucket
from deploy.storage.copy import LocalCopy
from deploy.storage.policy import chosen_versions
from tests.deploy.storage.store import BUCKET, MODEL, PREFIX, Store, add_version, files, storage
from tests.support.triton_process import ROOT, free_ports
from tests.support.waiting import wait_until

pytestmark = pytest.mark.storage

TEXT = f"{MODEL}_text"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return tmp_path / "volume" / "models"


def fetch(store: Store, copy: Path, patience: float = 1) -> int:
    return storage("fetch", store.address, copy, "--patience", patience)


def test_what_is_pushed_is_fetched(store: Store, repository: Path, copy: Path) -> None:
    assert storage("push", repository, store.address) == 0
    # The text model's version has what its backend reads, and not the graph once more.
    assert {key for key in store.names() if key.startswith(f"{TEXT}/1/")} == {
        f"{TEXT}/1/card.json",
        f"{TEXT}/1/tokenizer.json",
    }
    for name in ("config.pbtxt", "configs/cpu.pbtxt"):
        assert chosen_versions(store.get(f"{MODEL}/{name}"), name, {"1", "2", "3"}) == {"1"}, "it names version 1"
    assert fetch(store, copy) == 0
    assert files(copy) == files(repository)
    for name in ("card.json", "tokenizer.json", "model.cpu.onnx"):
        assert (copy / MODEL / "1" / name).read_bytes() == (repository / MODEL / "1" / name).read_bytes()
    assert (copy / TEXT / "1").readlink() == Path("..", MODEL, "1")
    assert {path.name for path in copy.parent.iterdir()} == {".models.lock", "models"}, "nothing is left beside it"
    for path in copy.rglob("*"):
        assert path.stat().st_mode & 0o004, "Triton runs as another user"


def test_a_configuration_that_is_being_written_stays_here(store: Store, repository: Path) -> None:
    (repository / MODEL / "configs/.unfinished-tuned.pbtxt").write_text("count = 3")
    assert storage("push", repository, store.address) == 0
    assert not [name for name in store.names() if "unfinished" in name]


def test_a_new_version_and_its_trial_follow(store: Store, repository: Path, copy: Path) -> None:
    storage("push", repository, store.address)
    fetch(store, copy)
    add_version(repository, 2)
    (repository / f"{MODEL}.canary.json").write_text('{"2": "5%"}')
    assert storage("push", repository, store.address) == 0
    assert fetch(store, copy) == 0
    assert json.loads((copy / f"{MODEL}.canary.json").read_text()) == {"2": "5%"}
    assert (copy / MODEL / "2" / "card.json").exists()
    assert (copy / TEXT / "2" / "card.json").exists()
    assert chosen_versions((copy / MODEL / "config.pbtxt").read_bytes(), "", ()) == {"1", "2"}


@pytest.mark.parametrize("lost", ["card.json", "tokenizer.json", "model.cpu.onnx"])
def test_half_a_version_is_never_seen(
    store: Store, repository: Path, copy: Path, lost: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever uploaded it, and though the configuration names it already."""
    storage("push", repository, store.address)
    fetch(store, copy)
    before = (copy / MODEL / "config.pbtxt").read_bytes()
    add_version(repository, 2)
    storage("push", repository, store.address)
    whole = store.get(f"{MODEL}/2/{lost}")
    store.remove(f"{MODEL}/2/{lost}")
    capsys.readouterr()
    assert fetch(store, copy) == 0, "version 1 can be served"
    said = capsys.readouterr().err
    assert f"{MODEL} version 2" in said
    assert lost.split(".")[0] in said
    assert not (copy / MODEL / "2").exists()
    assert not (copy / TEXT / "2").is_symlink()
    assert (copy / MODEL / "config.pbtxt").read_bytes() == before, "it would name a version that is not there"
    fresh = copy.parent / "fresh"
    assert fetch(store, fresh) == 0
    assert chosen_versions((fresh / MODEL / "config.pbtxt").read_bytes(), "", ()) == {"1"}
    store.put(f"{MODEL}/2/{lost}", whole)
    assert fetch(store, copy) == 0
    assert (copy / MODEL / "2" / lost).read_bytes() == whole


def test_a_file_that_is_not_the_cards_is_refused(
    store: Store, repository: Path, copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    storage("push", repository, store.address)
    graph = store.get(f"{MODEL}/1/model.cpu.onnx")
    store.put(f"{MODEL}/1/model.cpu.onnx", graph[:-1] + bytes([graph[-1] ^ 1]))  # of the same size
    assert fetch(store, copy) == 1
    assert "model.cpu.onnx is not the file its card describes" in capsys.readouterr().err
    assert not (copy / MODEL).exists()
    store.put(f"{MODEL}/1/model.cpu.onnx", graph)
    store.put(f"{MODEL}/1/tokenizer.json", b" " * (MOST_BYTES["tokenizer.json"] + 1))
    assert fetch(store, copy) == 1
    assert "are the most that it may have" in capsys.readouterr().err


def test_the_graph_for_gpus_may_come_later(store: Store, repository: Path, copy: Path) -> None:
    storage("push", repository, store.address)
    fetch(store, copy)
    graph = b"as far as anybody here reads it"
    record = GpuGraph(
        sha256=hashlib.sha256(graph).hexdigest(),
        made_from="a test",
        cpu_graph=read_card(repository / MODEL / "1").files["model.cpu.onnx"],
        mean_difference=0.0,
        largest_difference=0.0,
        compared_on="nothing",
        tools={},
    )
    (repository / MODEL / "1/model.gpu.json").write_text(record.model_dump_json())
    (repository / MODEL / "1/model.gpu.onnx").write_bytes(graph)
    assert storage("push", repository, store.address) == 0
    assert fetch(store, copy) == 0
    assert (copy / MODEL / "1/model.gpu.onnx").read_bytes() == graph


def test_a_version_in_the_bucket_never_changes(
    store: Store, repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    storage("push", repository, store.address)
    card = repository / MODEL / "1/card.json"
    card.write_text(card.read_text() + "\n")
    assert storage("push", repository, store.address) == 1
    assert "under a new number" in capsys.readouterr().err


def test_prune_removes_what_nothing_names(store: Store, repository: Path) -> None:
    for number in (2, 3):
        add_version(repository, number)
        storage("push", repository, store.address)
    assert f"{MODEL}/1/card.json" in store.names(), "only when it is asked for"
    assert storage("push", repository, store.address, "--prune") == 0
    left = {key.split("/")[1] for key in store.names() if key.count("/") == 2 and "configs" not in key}
    assert left == {"2", "3"}


def test_a_version_that_left_stays_a_while(store: Store, repository: Path, copy: Path) -> None:
    add_version(repository, 2)
    storage("push", repository, store.address)
    kept = LocalCopy(copy, Bucket(store.address), keep_seconds=1.0)
    said: list[str] = []
    with kept.locked():
        assert kept.update(said.append) == []
        add_version(repository, 3)
        storage("push", repository, store.address, "--prune")
        assert kept.update(said.append) == []
        assert (copy / MODEL / "1").exists(), "Triton may still serve it"
        time.sleep(1.1)
        assert kept.update(said.append) == []
    assert {path.name for path in (copy / MODEL).iterdir() if path.name.isdigit()} == {"2", "3"}
    assert {path.name for path in (copy / TEXT).iterdir() if path.name.isdigit()} == {"2", "3"}


def test_a_bucket_that_is_gone_or_empty_changes_nothing(
    store: Store, repository: Path, copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    storage("push", repository, store.address)
    assert fetch(store, copy) == 0
    before = files(copy)
    kept = LocalCopy(copy, Bucket(store.address), keep_seconds=0.01)
    with kept.locked():
        store.remove(*store.names())
        for _ in range(2):
            (problem,) = kept.update(print)
            assert "holds no model" in problem
            time.sleep(0.02)
        store.remove_bucket()
        capsys.readouterr()
    assert fetch(store, copy) == 1, "it was asked to bring it up to date"
    assert "there is no such bucket" in capsys.readouterr().err
    store.stop()
    assert fetch(store, copy) == 1
    assert "the store can't be reached" in capsys.readouterr().err
    assert files(copy) == before


def test_wrong_credentials_are_named(
    store: Store, repository: Path, copy: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    storage("push", repository, store.address)
    store.demand_credentials()
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
    assert fetch(store, copy) == 1
    assert "AWS_ACCESS_KEY_ID" in capsys.readouterr().err


def test_no_credentials_are_named(
    store: Store, copy: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    # On AWS a machine's role would be asked for at an address that is nobody's here.
    monkeypatch.setenv("AWS_METADATA_ENDPOINT", f"http://127.0.0.1:{free_ports(1)[0]}")
    assert fetch(store, copy) == 1
    assert "there are no credentials" in capsys.readouterr().err


def test_a_wrong_clock_is_named(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A store that does nothing but refuse, as S3 does 15 minutes off."""

    class Refuses(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = b"<Error><Code>RequestTimeTooSkewed</Code><Message>The difference is too large.</Message></Error>"
            self.send_response(403)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Refuses) as server:
        threading.Thread(target=server.serve_forever).start()
        try:
            assert storage("fetch", f"s3://http://127.0.0.1:{server.server_port}/models", copy, "--patience", 0.1) == 1
        finally:
            server.shutdown()
    assert "this machine's clock is wrong" in capsys.readouterr().err


@pytest.mark.parametrize("key", ["{m}/1/../../evil", "../evil", "{m}/..", "{m}/2/a/b", "{m}/-x", "x y/config.pbtxt"])
def test_keys_lead_nowhere_else(
    store: Store, repository: Path, copy: Path, key: str, capsys: pytest.CaptureFixture[str]
) -> None:
    storage("push", repository, store.address)
    store.client.put_object(Bucket=BUCKET, Key=f"{PREFIX}/{key.format(m=MODEL)}", Body=b"evil")
    status = fetch(store, copy)
    said = capsys.readouterr().err
    # The library takes no listing that has ".." in it; what has not, is left out.
    assert status == (1 if ".." in key else 0)
    assert "evil" in said or "left out" in said or ".." in said
    assert not [path for path in copy.parent.parent.rglob("*") if path.name in ("evil", "b", "-x")]


def test_two_cannot_keep_one_directory(
    store: Store, repository: Path, copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    storage("push", repository, store.address)
    with LocalCopy(copy, Bucket(store.address), 1).locked():
        assert fetch(store, copy) == 1
    assert "another process keeps" in capsys.readouterr().err


def test_a_sidecar_follows_and_heals(store: Store, repository: Path, copy: Path) -> None:
    """It outlives an outage, mends what is damaged here, and stops at once."""
    storage("push", repository, store.address)
    (copy.parent / ".models.fetching-left").mkdir(parents=True)
    fetch(store, copy)
    assert not (copy.parent / ".models.fetching-left").exists(), "what a killed one left"
    (copy / MODEL / "1" / "tokenizer.json").write_bytes(b"damaged")
    command = [sys.executable, "-m", "deploy.storage", "fetch", store.address, str(copy), "--every", "0.3"]
    sidecar = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)
    said: list[str] = []
    assert sidecar.stderr is not None
    reader = threading.Thread(target=said.extend, args=(sidecar.stderr,))
    reader.start()
    try:
        wait_until(lambda: (copy / MODEL / "1" / "tokenizer.json").stat().st_size > 1000, lambda: said)
        store.process.send_signal(signal.SIGSTOP)
        add_version(repository, 2)
        time.sleep(1)
        store.process.send_signal(signal.SIGCONT)
        storage("push", repository, store.address)
        wait_until(lambda: b"1" in (copy / TEXT / "config.pbtxt").read_bytes() and (copy / TEXT / "2").exists())
    finally:
        sidecar.send_signal(signal.SIGTERM)
        assert sidecar.wait(10) == 0
        reader.join()


@pytest.mark.parametrize("address", ["bucket/x", "s3://", "s3://http://host", "http://host/bucket", "s3:///x"])
def test_an_address_that_is_none(address: str, copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert storage("fetch", address, copy) == 1
    assert "no address of a bucket" in capsys.readouterr().err


def test_without_its_packages_it_says_how_to_get_them() -> None:
    hidden = "import runpy, sys; sys.modules['obstore'] = None; runpy.run_module('deploy.storage', run_name='__main__')"
    done = subprocess.run([sys.executable, "-c", hidden], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: obstore is not installed here: pip install")
    assert done.stderr.count("\n") == 1

"""The wheel: the same bytes from anywhere, nothing in it that shouldn't be, and it serves without the checkout."""

import os
import socket
import subprocess
import sys
import time
import urllib.request
import zipfile
from pathlib import Path

import pytest

from deploy.supply_chain.command import ROOT, SupplyChainError, git
from deploy.supply_chain.sbom import version
from deploy.supply_chain.wheel import check_contents, tracked_files

pytestmark = pytest.mark.supply
# What lies among the code and is used from a checkout alone: images, units and examples.
LEFT_OUT = ("deploy/", "clients/examples/", "training/train/replicate_models.sh")
ROOMS = ("clients", "contract", "deploy", "gateway", "server", "training")


def clone(directory: Path, umask: int) -> Path:
    """The last commit, without models, checked out under a umask."""
    subprocess.run(["git", "clone", "--quiet", "--no-checkout", ROOT, directory], check=True)
    kept = ["git", "checkout", "HEAD", "--", *ROOMS, "pyproject.toml", "README.md", "LICENSE"]
    subprocess.run(kept, cwd=directory, check=True, umask=umask, capture_output=True)
    return directory


def build(checkout: Path, umask: int, zone: str) -> Path:
    command = [sys.executable, "-m", "deploy.supply_chain.wheel", "--output", "dist"]
    variables = {name: value for name, value in os.environ.items() if name != "SOURCE_DATE_EPOCH"} | {"TZ": zone}
    subprocess.run(command, cwd=checkout, env=variables, umask=umask, check=True, capture_output=True)
    (wheel,) = (checkout / "dist").iterdir()
    return wheel


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(clone(tmp_path_factory.mktemp("a") / "checkout", 0o022), 0o022, "UTC")


def test_two_folders_umasks_and_time_zones_give_the_same_bytes(wheel: Path, tmp_path: Path) -> None:
    other = clone(tmp_path / "some where/else", 0o077)
    # What an earlier build and an editor leave behind.
    (other / "build/lib/gateway").mkdir(parents=True)
    (other / "build/lib/gateway/old.py").write_text("")
    (other / "gateway/notes.py").write_text("")
    again = build(other, 0o077, "Pacific/Kiritimati")
    assert again.name == wheel.name
    assert again.read_bytes() == wheel.read_bytes()


def test_it_holds_the_code_its_data_and_the_licence(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as file:
        names = set(file.namelist())
        assert f"Version: {version()}\n" in file.read(f"ru_emotions_triton-{version()}.dist-info/METADATA").decode()
    expected = {
        name
        for name in tracked_files(ROOT)
        if name.partition("/")[0] in ROOMS and (name.endswith(".py") or not name.startswith(LEFT_OUT))
    }
    expected = {name for name in expected if not name.startswith("deploy/supply_chain/")}
    assert {name for name in names if ".dist-info/" not in name} == expected
    assert any(name.endswith("licenses/LICENSE") for name in names)


@pytest.mark.parametrize(
    "name", ["tests/test_x.py", "gateway/__pycache__/x.pyc", "model_repository/m/1/model.cpu.onnx"]
)
def test_what_does_not_belong_into_it_is_refused(wheel: Path, name: str) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    check_contents(names)
    with pytest.raises(SupplyChainError, match="has what it should not"):
        check_contents([*names, name])
    with pytest.raises(SupplyChainError, match=r"lacks: \['gateway/pages/page.html'\]"):
        check_contents([name for name in names if name != "gateway/pages/page.html"])


def test_it_serves_from_a_clean_environment_without_an_index(wheel: Path, tmp_path: Path) -> None:
    python = tmp_path / "environment/bin/python"
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "environment"], check=True)
    lock = ["--no-deps", "--require-hashes", "--requirement", str(ROOT / "locks/serving.txt")]
    subprocess.run([python, "-m", "pip", "download", "--quiet", "--dest", tmp_path / "wheels", *lock], check=True)
    offline = [python, "-m", "pip", "install", "--quiet", "--no-index", f"--find-links={tmp_path / 'wheels'}"]
    subprocess.run([*offline, *lock], check=True)
    subprocess.run([*offline, "--no-deps", wheel], check=True)
    subprocess.run([python, "-m", "pip", "check"], check=True, capture_output=True)
    shown = subprocess.run(
        [python, "-m", "gateway", "--help"], cwd=tmp_path, check=True, capture_output=True, text=True
    )
    assert "--triton-address" in shown.stdout
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    # No Triton is there: the gateway lives, and says that it is not ready.
    command = [python, "-m", "gateway", f"--port={port}", f"--model-repository={ROOT / 'model_repository'}"]
    log = tmp_path / "log"
    with log.open("w") as output, subprocess.Popen(command, cwd=tmp_path, stdout=output, stderr=output) as gateway:
        try:
            assert answer(f"http://127.0.0.1:{port}/health/live", gateway, log) == 200
        finally:
            gateway.terminate()


def answer(url: str, gateway: "subprocess.Popen[bytes]", log: Path) -> int:
    """The status of the first answer, within a minute."""
    give_up = time.monotonic() + 60
    while time.monotonic() < give_up and gateway.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=5) as response:  # noqa: S310 - our own gateway
                return int(response.status)
        except OSError:
            time.sleep(0.2)
    pytest.fail(log.read_text())


def test_without_a_clone_or_git_a_sentence_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SupplyChainError, match="is no clone"):
        tracked_files(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SupplyChainError, match="there is no git here"):
        git("status")

"""Which build of PyTorch is installed, by the real pip, with wheels of a few bytes in torch's place."""

import hashlib
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from deploy.supply_chain.command import ROOT

pytestmark = pytest.mark.supply
VERSION = "2.13.0"


def make_wheel(directory: Path, version: str) -> str:
    """A wheel named torch; gives its SHA-256."""
    directory.mkdir(exist_ok=True)
    info = f"torch-{version}.dist-info"
    wheel = directory / f"torch-{version}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as file:
        file.writestr("torch_here.py", f"version = {version!r}\n")
        file.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: torch\nVersion: {version}\n")
        file.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        file.writestr(f"{info}/RECORD", f"torch_here.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n")
    return hashlib.sha256(wheel.read_bytes()).hexdigest()


def install(place: Path, sha256_of_lock: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Into `place/installed`, from the wheels in `place/wheels` alone."""
    lock = place / "torch.txt"
    lock.write_text(f"torch=={VERSION} \\\n    --hash=sha256:{sha256_of_lock}\n")
    pip = {"PIP_CONFIG_FILE": os.devnull, "PIP_NO_INDEX": "1", "PIP_TARGET": str(place / "installed")}
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "TORCH_"))}
    return subprocess.run(
        [sys.executable, "-m", "deploy.supply_chain.install_torch", str(lock)],
        cwd=ROOT, env=clean | pip | {"PIP_FIND_LINKS": str(place / "wheels")} | variables,
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def installed(place: Path) -> str:
    return (place / "installed/torch_here.py").read_text().split("'")[1]


def test_pypis_build_only_with_the_locks_hash(tmp_path: Path) -> None:
    sha256 = make_wheel(tmp_path / "wheels", VERSION)
    refused = install(tmp_path, "0" * 64)
    assert refused.returncode == 1
    assert "THESE PACKAGES DO NOT MATCH THE HASHES" in refused.stderr
    assert refused.stderr.endswith(f"error: pip could not install torch {VERSION} (its own words are above)\n")
    assert not (tmp_path / "installed").exists()
    done = install(tmp_path, sha256)
    assert (done.returncode, done.stdout) == (0, "")
    assert installed(tmp_path) == VERSION


def test_the_build_of_ones_own_index(tmp_path: Path) -> None:
    """It is preferred where pip finds it, and said; TORCH_SHA256 pins it."""
    make_wheel(tmp_path / "wheels", VERSION)
    sha256 = make_wheel(tmp_path / "wheels", f"{VERSION}+cpu")
    refused = install(tmp_path, "0" * 64, TORCH_SHA256="1" * 64)
    assert refused.returncode == 1
    assert refused.stderr == (
        f"error: torch {VERSION}+cpu from {tmp_path}/wheels has SHA-256 {sha256}, and TORCH_SHA256 is another\n"
    )
    done = install(tmp_path, "0" * 64)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"torch {VERSION}+cpu comes from {tmp_path}/wheels, which pip is set up to use")
    assert f"TORCH_SHA256={sha256}" in done.stdout
    assert installed(tmp_path) == f"{VERSION}+cpu"
    again = install(tmp_path, "0" * 64, TORCH_SHA256=f"{'1' * 64} {sha256}", PIP_UPGRADE="1")
    assert again.returncode == 0, again.stderr
    assert "TORCH_SHA256 names its SHA-256" in again.stdout


@pytest.mark.parametrize(("lock", "said"), [("numpy==1\n", "the lock names no torch")])
def test_a_lock_without_torch(tmp_path: Path, lock: str, said: str) -> None:
    (tmp_path / "lock.txt").write_text(lock)
    done = subprocess.run(
        [sys.executable, "-m", "deploy.supply_chain.install_torch", str(tmp_path / "lock.txt")],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {said}")

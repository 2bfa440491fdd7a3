"""`make python` and the Makefile's choice of a Python, on a system whose own Pythons don't serve.

uv downloads from a list of its own here, in which the only Python is one of this machine, packed as
python-build-standalone packs it: everything below `python/`, configured for the prefix `/install`.
"""

import hashlib
import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from server.environment.triton_environment import read_environment
from tests.pythons import find_interpreter
from tests.server.bare_systems import MAKE, copy_for_make, link_programs


def prefix_of(python: Path) -> Path:
    program = "import sys; print(sys.base_prefix)"
    return Path(subprocess.run([python, "-c", program], capture_output=True, text=True, check=True).stdout.strip())


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """uv's list of downloads, with one Python 3.13 beside it."""
    python = find_interpreter("3.13")
    if python is None or prefix_of(python) in (Path("/usr"), Path("/usr/local")):
        pytest.skip("no Python 3.13 here with a prefix of its own, as pyenv's has")
    prefix = prefix_of(python)
    directory = tmp_path_factory.mktemp("mirror")
    skipped = ("/test/", "/__pycache__/", "/site-packages/", "/config-3")

    def pack(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
        return None if any(part in f"{member.name}/" for part in skipped) else member

    for module in (prefix / "lib/python3.13").glob("_sysconfigdata_*.py"):
        (directory / module.name).write_text(module.read_text().replace(str(prefix), "/install"))
    archive = directory / "python.tar.gz"
    with tarfile.open(archive, "w:gz", compresslevel=1) as tar:
        for name in ("bin", "include", "lib"):
            tar.add(prefix / name, f"python/{name}", filter=pack)
        for module in directory.glob("_sysconfigdata_*.py"):
            tar.add(module, f"python/lib/python3.13/{module.name}")
    entry = {
        "name": "cpython", "arch": {"family": "x86_64", "variant": None}, "os": "linux", "libc": "gnu",
        "major": 3, "minor": 13, "patch": 0, "prerelease": "", "variant": None, "build": None,
        "url": archive.as_uri(), "sha256": hashlib.sha256(archive.read_bytes()).hexdigest(),
    }  # fmt: skip
    listed = directory / "downloads.json"
    listed.write_text(json.dumps({"cpython-3.13.0-linux-x86_64-gnu": entry}))
    return listed


@pytest.fixture
def system(tmp_path: Path) -> dict[str, str]:
    """Variables of a system whose only Python, `python3`, is none that serves; uv and the usual tools are there."""
    programs = tmp_path / "programs"
    programs.mkdir()
    # So answers any other Python, as the Makefile sees it: the question whether it serves ends with a status.
    (programs / "python3").write_text("#!/bin/sh\nexit 1\n")
    (programs / "python3").chmod(0o755)
    link_programs(programs, "sh", "sed", "uv", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    return {"PATH": str(programs), "UV_CACHE_DIR": str(tmp_path / "cache"), "HOME": str(tmp_path)}


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """What the Makefile needs to make a choice."""
    return copy_for_make(tmp_path / "checkout")


def make(checkout: Path, variables: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [MAKE, *arguments], cwd=checkout, env=variables, capture_output=True, text=True, check=False, timeout=120
    )


def test_a_python_from_uv(packed: Path, system: dict[str, str], checkout: Path) -> None:
    made = make(checkout, system | {"UV_PYTHON_DOWNLOADS_JSON_URL": packed.as_uri()}, "python")
    assert made.returncode == 0, made.stderr
    assert made.stdout.endswith("Python 3.13 is in build/python. Now: make serve\n")
    python = "build/python/cpython-3.13-linux-x86_64-gnu/bin/python3.13"
    assert f"{python} -m venv --clear .venv" in make(checkout, system, "--dry-run", "serve").stdout
    # Triton's environment runs it from where it lies, with the libpython beside it, which no other place has.
    (checkout / "server/environment/requirements.txt").write_text("# nothing\n")
    subprocess.run([python, "-m", "server", "install"], cwd=checkout, check=True)
    environment = read_environment(checkout / ".venv-triton")
    assert (environment.directory / "bin/python").resolve().is_relative_to(checkout / "build/python")
    assert environment.libpython is not None
    assert environment.libpython.is_relative_to(checkout / "build/python")


def test_nothing_is_downloaded_unasked(system: dict[str, str], checkout: Path) -> None:
    old = find_interpreter("3.10") or find_interpreter("3.9") or pytest.skip("no old Python here")
    (Path(system["PATH"]) / "python3").unlink()
    (Path(system["PATH"]) / "python3").symlink_to(old)
    ended = make(checkout, system, "serve")
    assert ended.returncode != 0
    first, *_ = ended.stderr.splitlines()
    assert first.startswith("error: this needs Python 3.11, 3.12 or 3.13, and ")
    assert first.endswith("let uv download one into build/python: make python, then make serve.")
    assert not (checkout / ".venv").exists()
    assert not (checkout / "build").exists()


@pytest.mark.parametrize(("offered", "chosen"), [(("3.12",), "python3.12"), (("3.11", "3.13"), "python3.13")])
def test_the_first_that_serves_is_taken(
    system: dict[str, str], checkout: Path, offered: tuple[str, ...], chosen: str
) -> None:
    for version in offered:
        found = find_interpreter(version) or pytest.skip(f"no Python {version} here")
        (Path(system["PATH"]) / f"python{version}").symlink_to(found)
    assert f" {chosen} -m venv --clear .venv\n" in make(checkout, system, "--dry-run", "serve").stdout

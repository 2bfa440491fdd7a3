"""`make` on a system that lacks a part of Python: it names the packages, and makes nothing."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.server.bare_systems import MAKE, copy_for_make, link_programs

VERSION = f"{sys.version_info[0]}.{sys.version_info[1]}"
TARGETS = ("serve", "test", "training", "lint", "python")


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """All that is on PATH: a shell and sed."""
    directory = tmp_path / "programs"
    directory.mkdir()
    link_programs(directory, "sh", "sed")
    return directory


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """What the Makefile needs before it makes anything."""
    return copy_for_make(tmp_path / "checkout")


def first_complaint(checkout: Path, programs: Path, target: str) -> str:
    """The first line that `make` says to stderr; nothing was made."""
    before = {path.name for path in checkout.iterdir()}
    ended = subprocess.run(
        [MAKE, target],
        cwd=checkout,
        env={"PATH": str(programs)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert ended.returncode == 2
    assert {path.name for path in checkout.iterdir()} == before
    return ended.stderr.splitlines()[0]


@pytest.mark.parametrize("target", TARGETS)
def test_without_any_python(checkout: Path, programs: Path, target: str) -> None:
    assert first_complaint(checkout, programs, target) == (
        "error: no python3 here. On Debian 12 and 13 and Ubuntu 24.04, as root: apt install python3-venv libpython3-dev"
        ". Then run this again. Elsewhere: install Python 3.11, 3.12 or 3.13 and name it (PYTHON=python3.13)."
    )


@pytest.mark.parametrize("target", TARGETS)
def test_without_ensurepip(checkout: Path, programs: Path, tmp_path: Path, target: str) -> None:
    """As Debian's and Ubuntu's python3 is without python3-venv."""
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    (hidden / "ensurepip.py").write_text("raise ModuleNotFoundError(name='ensurepip')")
    python = programs / "python3"
    python.write_text(f'#!/bin/sh\nPYTHONDONTWRITEBYTECODE=1 PYTHONPATH={hidden} exec {sys.executable} "$@"\n')
    python.chmod(0o755)
    said = first_complaint(checkout, programs, target)
    assert f"{sys.executable} can't make environments (no ensurepip)" in said
    assert f"On Debian and Ubuntu, as root: apt install python{VERSION}-venv" in said
    assert said.endswith("Then run this again.")

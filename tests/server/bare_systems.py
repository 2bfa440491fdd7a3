"""Systems that lack a part of Python: one whose shared library is missing, and what `make` needs to say so."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.triton_process import ROOT

MAKE = shutil.which("make") or pytest.fail("no make here")


def version_without_libpython() -> str:
    """A Python whose stub is in the wheel and whose shared library the loader can't find."""
    known = subprocess.run(["/sbin/ldconfig", "-p"], capture_output=True, text=True, check=False).stdout
    for version in ("3.12", "3.11", "3.10", "3.9", "3.8"):
        if f"libpython{version}.so.1.0" not in known:
            return version
    pytest.fail("every libpython is installed system-wide: nothing to miss")


def link_programs(directory: Path, *names: str, path: str | None = None) -> None:
    """Put programs of this machine, from `path` or PATH, into a directory that is all of another system's PATH."""
    for name in names:
        found = shutil.which(name, path=path)
        assert found, f"no {name} here"
        (directory / name).symlink_to(found)


def copy_for_make(directory: Path) -> Path:
    """A checkout with what the Makefile needs before it makes anything."""
    for name in ("server", "locks"):
        shutil.copytree(ROOT / name, directory / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("Makefile", "pyproject.toml"):
        shutil.copy(ROOT / name, directory)
    return directory

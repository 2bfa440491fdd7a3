"""Virtual environments for the peers, each made once from its pinned requirements."""

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

from benchmarks.command import BUILD, BenchmarkError


def peer_python(requirements: Path) -> Path:
    """The Python of an environment with these requirements, made if it isn't there or they have changed.

    Raises:
        BenchmarkError: it can't be made.
    """
    directory = BUILD / "environments" / requirements.stem.removeprefix("requirements-")
    stamp = directory / "requirements.sha256"
    wanted = hashlib.sha256(requirements.read_bytes() + sys.version.encode()).hexdigest()
    python = directory / "bin/python"
    if stamp.exists() and stamp.read_text(encoding="ascii") == wanted:
        return python
    shutil.rmtree(directory, ignore_errors=True)
    _run([sys.executable, "-m", "venv", str(directory)], f"can't make the environment {directory}")
    pip = [str(python), "-m", "pip", "--quiet", "--disable-pip-version-check", "install"]
    _run([*pip, "--requirement", str(requirements)], f"pip can't install {requirements}")
    stamp.write_text(wanted, encoding="ascii")
    return python


def _run(command: list[str], failed: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own command
    if done.returncode != 0:
        lines = (done.stderr or done.stdout).strip().splitlines()
        raise BenchmarkError(
            f"{failed} ({lines[-1] if lines else 'it said nothing'}): see whether the network and the package index"
            f" answer, then run this again"
        )

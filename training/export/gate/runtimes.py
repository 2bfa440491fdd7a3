"""The ONNX Runtimes that a CPU graph must be right on, each in an environment of its own.

    python -m training.export.gate.runtimes --repository model_repository

The oldest is the gate's; all of them check what is in git (`make test-runtimes`). Environments are made on first use,
in `build/` of this checkout, and shared by everything that uses them.
"""

import fcntl
import json
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnxruntime

from contract.version_directory import version_directories
from training.common.command import TrainingError, command_parser, run_command

OLDER: Final = ("1.24.4", "1.27.0", "1.28.0")
"""What NVIDIA's images carry beside what is pinned here: 26.06, 26.07 and 26.08."""
OLDEST: Final = OLDER[0]
ENVIRONMENTS: Final = Path(__file__).parents[3] / "build/onnxruntime"
_SCRIPT: Final = Path(__file__).with_name("on_runtime.py")
_SECONDS: Final = 600


def check_on(version: str, *what: Path) -> dict[str, Any]:
    """Run `on_runtime.py` on another ONNX Runtime.

    Args:
        version: of ONNX Runtime, such as `1.24.4`; the one that is pinned needs no other environment.
        what: a version directory, or a graph and a JSON file with a `Sample`.

    Returns:
        What it printed: `onnxruntime`, `largest_difference`.

    Raises:
        TrainingError: an answer is wrong there, the graph crashes it, or there is no such environment.
    """
    python = sys.executable if version == onnxruntime.__version__ else str(environment(version))
    command = [python, str(_SCRIPT), *map(str, what)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_SECONDS)  # noqa: S603 - our own
    if done.returncode < 0:
        raise TrainingError(f"{what[0]} ends ONNX Runtime {version} with signal {-done.returncode}")
    if done.returncode:
        raise TrainingError(f"{what[0]}: {(done.stderr.strip() or f'exit status {done.returncode}')[-500:]}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def environment(version: str, directory: Path = ENVIRONMENTS) -> Path:
    """The Python of an environment with one version of ONNX Runtime; made if it is not there.

    Raises:
        TrainingError: it cannot be made, and what to do.
    """
    home = directory / version
    python = home / "bin/python"
    ready = home / ".ready"
    if ready.exists():
        return python
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / f".{version}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not ready.exists():  # Another process may have made it meanwhile.
            _make(home, version)
            ready.touch()
    return python


def _make(home: Path, version: str) -> None:
    shutil.rmtree(home, ignore_errors=True)
    venv.create(home, symlinks=True)
    # ONNX Runtime imports nothing else; the pip of this environment installs into that one.
    command = [
        sys.executable, "-m", "pip", "--python", str(home / "bin/python"), "install", "--quiet",
        "--disable-pip-version-check", "--no-deps", "--only-binary=:all:", f"onnxruntime=={version}",
        f"numpy=={np.__version__}",
    ]  # fmt: skip
    done = subprocess.run(  # noqa: S603 - pip, with a version of our own
        command, capture_output=True, text=True, check=False, env=os.environ | {"PIP_REQUIRE_VIRTUALENV": "0"}
    )
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or [f"pip's exit status was {done.returncode}"])[-1]
        raise TrainingError(
            f"ONNX Runtime {version}, on which a graph for CPUs must be right too, cannot be installed into {home}:"
            f" {reason}. Make PyPI, or a mirror of it (PIP_INDEX_URL), reachable,"
            " or go without it: --without-oldest-runtime, which a published version's card says"
        )


def main() -> None:
    """Check every version of a repository on every ONNX Runtime; the first that is wrong ends it."""
    parser = command_parser("training.export.gate.runtimes", __doc__)
    parser.add_argument("--repository", type=Path, default=Path("model_repository"), help="default: %(default)s")
    repository = parser.parse_args().repository
    directories = version_directories(repository)
    if not directories:
        raise TrainingError(f"{repository} holds no version directories")
    for directory in directories:
        for version in (*OLDER, onnxruntime.__version__):
            found = check_on(version, directory)
            print(f"{directory} is right on ONNX Runtime {version}: off by {found['largest_difference']}", flush=True)


if __name__ == "__main__":
    run_command(main)

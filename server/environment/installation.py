"""Making Triton's environment."""

import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from server.environment.host import check_python, missing_libpython
from server.environment.triton_environment import TritonEnvironment, read_environment
from server.errors import MissingLibpythonError, TritonEnvironmentError

STAMP: Final = "triton-environment.sha256"
_ROOM: Final = Path(__file__).resolve().parent


def requirements_file(*, gpu: bool) -> Path:
    """The packages of the environment, with their hashes; pyproject.toml says why these."""
    return _ROOM / ("requirements-gpu.txt" if gpu else "requirements.txt")


def install(directory: Path, *, gpu: bool = False) -> bool:
    """Make Triton's environment, unless it is there already.

    A stamp, written last, names the requirements and the Python it was made with, so a
    second call returns at once and an interrupted one is done again.

    Args:
        directory: where; its Python will be the one that runs this.
        gpu: with onnxruntime-gpu and the CUDA libraries instead of onnxruntime.

    Returns:
        False if there was nothing to do.

    Raises:
        IncompletePythonError: this Python can make no environment, or has no shared library.
        TritonEnvironmentError: pip failed, or something else is there.
    """
    requirements = requirements_file(gpu=gpu)
    stamp = hashlib.sha256(requirements.read_bytes() + sys.version.encode()).hexdigest()
    with _alone_in(directory.absolute().parent):
        if _stamp_of(directory) == stamp:
            return False
        if directory.exists() and not _is_environment(directory):
            raise TritonEnvironmentError(
                f"{directory} is there and is not an environment: move it away, or choose "
                f"another place with --environment."
            )
        check_python()
        shutil.rmtree(directory, ignore_errors=True)
        try:
            _build(directory, requirements)
            (directory / STAMP).write_text(stamp + "\n")
        except BaseException:
            shutil.rmtree(directory, ignore_errors=True)
            raise
    return True


def _build(directory: Path, requirements: Path) -> None:
    try:
        # Not a copy: the Python of uv finds its libraries from where it lies.
        venv.create(directory, with_pip=True, symlinks=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise TritonEnvironmentError(
            f"can't make an environment in {directory} ({error}): see whether the disk is full or read-only."
        ) from None
    environment = read_environment(directory)
    pip = [str(directory / "bin/python"), "-m", "pip"]
    options = ["--disable-pip-version-check", "--no-input", "--no-deps", "--only-binary=:all:", "--require-hashes"]
    done = subprocess.run(  # noqa: S603 - our own command
        [*pip, "install", *options, "--progress-bar=off", "-r", str(requirements)],
        stdout=sys.stderr,
        check=False,
    )
    if done.returncode != 0:
        raise TritonEnvironmentError(
            f"pip could not install {requirements.name} (its own words are above): if hashes do not match, the file is "
            f"not the one that was locked, and must not be installed; else see whether the network and the package "
            f"index answer, then run this again."
        )
    _link_libpython(environment)


def _link_libpython(environment: TritonEnvironment) -> None:
    """Let the stub run the libpython of the environment's own interpreter, not the wheel's.

    The one that the wheel brings for Python 3.13 is another build: it looks for modules in files
    (`math` for one) that Debian's and uv's interpreters hold inside.
    """
    for bundled in environment.bundled_libpythons:
        if environment.libpython is None:
            raise MissingLibpythonError(missing_libpython(environment.python_version))
        bundled.unlink()
        bundled.symlink_to(environment.libpython)


def _stamp_of(directory: Path) -> str | None:
    try:
        return (directory / STAMP).read_text().strip()
    except OSError:
        return None


def _is_environment(directory: Path) -> bool:
    return directory.is_dir() and ((directory / "pyvenv.cfg").exists() or not any(directory.iterdir()))


@contextlib.contextmanager
def _alone_in(directory: Path) -> Iterator[None]:
    """One installer at a time: `make serve` and `make test` may start together."""
    directory.mkdir(parents=True, exist_ok=True)
    handle = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)

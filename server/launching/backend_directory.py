"""The backend directory: NVIDIA's Python backend, and the ONNX Runtime backend in Python.

A temporary directory per run, because tritonserver wants the stub of one Python version
beside the backend's library, and follows no symbolic links out of it.
"""

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from server.environment.triton_environment import TritonEnvironment
from server.errors import TritonEnvironmentError

PREFIX: Final = "ru-emotions-triton-"
"""Nobody else's directory begins so: what does is removed."""
_ROOM: Final = Path(__file__).resolve().parents[1]
_SHARED: Final = ("__init__.py", "triton_tensors.py")
SHARED_MEMORY: Final = Path("/dev/shm")  # noqa: S108 - the place itself, not a temporary file


@contextlib.contextmanager
def backend_directory(environment: TritonEnvironment) -> Iterator[Path]:
    """Lay out the backends, and remove them and the run's shared memory in the end.

    The directory's name is also the prefix of the run's shared-memory regions, and a lock
    on it says that the run is alive: what a killed run left behind goes at the next start.

    Yields:
        A directory for tritonserver's `--backend-directory`.
    """
    remove_leftovers()
    if not tempfile.gettempdir().isascii():
        raise TritonEnvironmentError(
            f"Triton's stubs can't be started from {tempfile.gettempdir()}: set TMPDIR to a directory whose path has "
            f"Latin letters alone."
        )
    try:
        directory, lock = _locked_directory()
    except OSError as error:
        raise _no_room(Path(tempfile.gettempdir()), error) from None
    try:
        try:
            _lay_out(environment, directory)
        except OSError as error:  # shutil.Error is one
            raise _no_room(directory.parent, error) from None
        yield directory
    finally:
        _remove(directory)
        os.close(lock)


def shared_memory_prefix(directory: Path) -> str:
    """Prefix of the shared-memory regions of the run with this backend directory."""
    return f"{directory.name}-"


def _locked_directory() -> tuple[Path, int]:
    """A new directory, and the lock on it."""
    while True:
        directory = Path(tempfile.mkdtemp(prefix=PREFIX))
        # Until it is locked, another start takes it for what a killed run left behind.
        with contextlib.suppress(FileNotFoundError):
            lock = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
            fcntl.flock(lock, fcntl.LOCK_EX)
            if directory.exists():
                return directory, lock
            os.close(lock)


def _no_room(place: Path, error: OSError) -> TritonEnvironmentError:
    return TritonEnvironmentError(
        f"Triton's backends can't be laid out in {place} ({error.strerror or error}): make room there, or set "
        f"TMPDIR to a directory that this user can write to."
    )


def _lay_out(environment: TritonEnvironment, directory: Path) -> None:
    python = directory / "python"
    skip = shutil.ignore_patterns("__pycache__")
    shutil.copytree(environment.python_backend, python, ignore=skip)
    stub = shutil.copy(environment.stub, python)
    if not os.access(stub, os.X_OK):
        raise TritonEnvironmentError(
            f"programs may not run in {directory.parent} (mounted noexec?): set TMPDIR to a directory where they may."
        )
    for backend in ("onnxruntime", "text"):
        _lay_out_ours(directory / backend, f"{backend}_backend", skip)


def _lay_out_ours(backend: Path, package: str, skip: Any) -> None:
    """One of our backends in Python, with what it imports, as Triton looks for it."""
    room = backend / "server"
    shutil.copytree(_ROOM / package, room / package, ignore=skip)
    for module in _SHARED:
        shutil.copy(_ROOM / module, room)
    shutil.move(room / package / "model.py", backend)


def remove_leftovers() -> None:
    """Clear away what runs that were killed left behind."""
    for directory in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        try:
            lock = os.open(directory, os.O_RDONLY | os.O_CLOEXEC | os.O_DIRECTORY)
        except OSError:
            continue
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _remove(directory)
        except OSError:
            continue  # alive, or another user's
        finally:
            os.close(lock)


def _remove(directory: Path) -> None:
    for region in SHARED_MEMORY.glob(f"{shared_memory_prefix(directory)}*"):
        with contextlib.suppress(OSError):
            region.unlink()
    shutil.rmtree(directory, ignore_errors=True)

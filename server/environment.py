"""Triton's environment: making it, and finding in it what tritonserver needs."""

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from server import pythons
from server.errors import MissingLibpythonError, TritonEnvironmentError, WrongPythonError
from server.host import missing_libpython

ROOM: Final = Path(__file__).resolve().parent
STAMP: Final = "triton-environment.sha256"
INSTALL: Final = "python -m server install"
_VENV_PACKAGE: Final = f"python{sys.version_info[0]}.{sys.version_info[1]}-venv"

# Runs in the environment's Python, so that its own sysconfig and site-packages answer.
_PROBE: Final = """
import importlib.metadata as metadata, json, sys, sysconfig
def version(name):
    try: return metadata.version(name)
    except metadata.PackageNotFoundError: return None
names = ("nvidia-pytriton", "numpy", "onnxruntime", "onnxruntime-gpu")
print(json.dumps({
    "version": "%d.%d" % sys.version_info[:2],
    "site_packages": sysconfig.get_path("purelib"),
    "library_directories": [sysconfig.get_config_var("LIBDIR") or "",
        (sysconfig.get_config_var("LIBDIR") or "") + "/" +
        (sysconfig.get_config_var("MULTIARCH") or ""), sys.base_prefix + "/lib"],
    "packages": {name: version(name) for name in names},
}))
"""


@dataclass(frozen=True)
class TritonEnvironment:
    """A virtual environment that holds tritonserver, numpy and ONNX Runtime."""

    directory: Path
    python_version: str
    """Of the environment's interpreter, such as `3.11`."""
    site_packages: Path
    library_directories: tuple[Path, ...]
    """Where the interpreter's shared libpython may lie."""
    packages: dict[str, str | None]
    """Version of each package that matters, None if it isn't there."""

    @property
    def tritonserver(self) -> Path:
        """The server itself."""
        return self.site_packages / "pytriton/tritonserver/bin/tritonserver"

    @property
    def python_backend(self) -> Path:
        """Directory of NVIDIA's Python backend, without its stubs."""
        return self.site_packages / "pytriton/tritonserver/backends/python"

    @property
    def stub(self) -> Path:
        """The Python backend's stub for this environment's Python."""
        stubs = self.site_packages / "pytriton/tritonserver/python_backend_stubs"
        return stubs / self.python_version / "triton_python_backend_stub"

    @property
    def libraries(self) -> Path:
        """The libraries that NVIDIA's wheel brings along."""
        return self.site_packages / "nvidia_pytriton.libs"

    @property
    def libpython(self) -> Path | None:
        """The interpreter's own shared libpython, None if it has none."""
        paths = (path / f"libpython{self.python_version}.so.1.0" for path in self.library_directories)
        return next((path for path in paths if path.is_file()), None)

    @property
    def bundled_libpythons(self) -> list[Path]:
        """Where the wheel keeps a libpython of its own for this version, as it does from 3.13 on."""
        return sorted(self.libraries.glob(f"libpython3-*.{self.python_version.partition('.')[2]}.so.1.0"))

    @property
    def library_path(self) -> str:
        """LD_LIBRARY_PATH for tritonserver and its stubs.

        The interpreter's own libpython comes first: the loader would otherwise take the
        system's, which may be another build of the same version. The variable's own value
        comes last: in some containers it alone leads to the NVIDIA driver.
        """
        own = [str(self.libpython.parent)] if self.libpython else []
        inherited = os.environ.get("LD_LIBRARY_PATH", "")
        return ":".join([*own, str(self.libraries), *filter(None, inherited.split(":"))])


def read_environment(directory: Path) -> TritonEnvironment:
    """Ask an environment's own Python what it holds.

    Raises:
        TritonEnvironmentError: it isn't there, or its Python doesn't run.
    """
    python = directory / "bin/python"
    if not python.exists():
        raise TritonEnvironmentError(f"Triton's environment {directory} is not there: {INSTALL}.")
    variables = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME")}
    try:
        answer = subprocess.run(  # noqa: S603 - our own command
            [str(python), "-c", _PROBE], env=variables, capture_output=True, text=True, check=True
        )
        found = json.loads(answer.stdout)
    except (OSError, ValueError, subprocess.CalledProcessError) as error:
        said = getattr(error, "stderr", None) or str(error)
        raise TritonEnvironmentError(
            f"the Python of Triton's environment {directory} does not run "
            f"({said.strip().splitlines()[-1] if said.strip() else 'no answer'}): delete the "
            f"environment, then {INSTALL}."
        ) from None
    return TritonEnvironment(
        directory=directory.absolute(),
        python_version=found["version"],
        site_packages=Path(found["site_packages"]),
        library_directories=tuple(Path(path) for path in found["library_directories"]),
        packages=found["packages"],
    )


def check_environment(environment: TritonEnvironment, *, gpu: bool = False) -> None:
    """Check that an environment can run tritonserver with the ONNX Runtime backend.

    Raises:
        WrongPythonError: its Python is none that serves.
        TritonEnvironmentError: a package is missing, too new, or excludes another.
    """
    where = f"Triton's environment {environment.directory}"
    install = f"{INSTALL} --gpu" if gpu else INSTALL
    if not pythons.serves(tuple(map(int, environment.python_version.split(".")))):
        raise WrongPythonError(
            f"{where} has Python {environment.python_version}, and the stack needs {pythons.NAMES}: "
            f"delete it, then run {install} with one of these."
        )
    packages = environment.packages
    files = (environment.tritonserver, environment.python_backend, environment.stub)
    lost = [path.name for path in files if not path.exists()]
    if packages["nvidia-pytriton"] is None or lost:
        raise TritonEnvironmentError(
            f"{where} is incomplete (nvidia-pytriton: {', '.join(lost) or 'not installed'}): {install}."
        )
    if any(not path.is_symlink() for path in environment.bundled_libpythons):
        raise TritonEnvironmentError(
            f"{where} is incomplete (its stub would run another build of Python than its own): {install}."
        )
    if packages["numpy"] is None:
        raise TritonEnvironmentError(f"{where} is incomplete (no numpy): {install}.")
    runtimes = [name for name in ("onnxruntime", "onnxruntime-gpu") if packages[name]]
    if not runtimes:
        raise TritonEnvironmentError(f"{where} is incomplete (no onnxruntime): {install}.")
    if len(runtimes) == 2:
        raise TritonEnvironmentError(
            f"{where} has both onnxruntime and onnxruntime-gpu, which overwrite each other's "
            f"files: delete it, then {install}."
        )
    if gpu and runtimes == ["onnxruntime"]:
        raise TritonEnvironmentError(
            f"{where} has onnxruntime for the CPU only, and --device gpu needs onnxruntime-gpu: {install}."
        )


def requirements_file(*, gpu: bool) -> Path:
    """The pinned packages of the environment."""
    return ROOM / ("requirements-gpu.txt" if gpu else "requirements.txt")


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
        TritonEnvironmentError: `venv` is missing, pip failed, or something else is there.
        MissingLibpythonError: this Python has no shared library.
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
        import ensurepip  # noqa: F401 - Debian splits it off, and venv then fails without a word
    except ImportError:
        raise TritonEnvironmentError(
            f"this Python has no ensurepip, so it can't make an environment: on Debian and "
            f"Ubuntu apt install {_VENV_PACKAGE}, then run this again."
        ) from None
    try:
        # Not a copy: the Python of uv finds its libraries from where it lies.
        venv.create(directory, with_pip=True, symlinks=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise TritonEnvironmentError(
            f"can't make an environment in {directory} ({error}): on Debian and Ubuntu apt "
            f"install {_VENV_PACKAGE}; otherwise see whether the disk is full or read-only."
        ) from None
    environment = read_environment(directory)
    if environment.libpython is None and not _loader_finds(f"libpython{environment.python_version}.so.1.0"):
        raise MissingLibpythonError(missing_libpython(environment.python_version))
    pip = [str(directory / "bin/python"), "-m", "pip"]
    options = ["--disable-pip-version-check", "--no-input", "--no-deps", "--only-binary=:all:"]
    done = subprocess.run(  # noqa: S603 - our own command
        [*pip, "install", *options, "--progress-bar=off", "-r", str(requirements)],
        stdout=sys.stderr,
        check=False,
    )
    if done.returncode != 0:
        raise TritonEnvironmentError(
            f"pip could not install {requirements.name} (its own words are above): see whether "
            f"the network and the package index answer, then run this again."
        )
    _link_libpython(environment)


def _loader_finds(library: str) -> bool:
    """Whether the loader knows a library by itself; tried in a process that loads nothing else of ours."""
    program = f"import ctypes; ctypes.CDLL({library!r})"
    tried = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)  # noqa: S603
    return tried.returncode == 0


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

"""Triton's environment: finding in it what tritonserver needs."""

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from server import pythons
from server.errors import TritonEnvironmentError, WrongPythonError

INSTALL: Final = "python -m server install"

# Runs in the environment's Python, so that its own sysconfig and site-packages answer.
_PROBE: Final = """
import importlib.metadata as metadata, json, sys, sysconfig
def version(name):
    try: return metadata.version(name)
    except metadata.PackageNotFoundError: return None
names = ("nvidia-pytriton", "numpy", "tokenizers", "onnxruntime", "onnxruntime-gpu")
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
    for name in ("numpy", "tokenizers"):
        if packages[name] is None:
            raise TritonEnvironmentError(f"{where} is incomplete (no {name}): {install}.")
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

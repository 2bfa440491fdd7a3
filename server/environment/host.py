"""What this machine must have: the platform, glibc, a whole Python with a shared library and, if asked, a GPU.

Plain functions: what they inspect is an argument, with the real thing as its default.
"""

import ctypes
import os
import platform
import re
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Final

from server import pythons
from server.errors import IncompletePythonError, MissingGpuError, MissingLibpythonError, WrongPlatformError

MINIMUM_GLIBC: Final = (2, 35)
IN_A_CONTAINER: Final = "run Triton in its container instead: docker compose up"


def check_platform(system: str = platform.system(), machine: str = platform.machine(), libc: str | None = None) -> None:
    """Check that NVIDIA's wheel can run here.

    Args:
        system: as `platform.system()` says it.
        machine: as `platform.machine()` says it.
        libc: name and version of the C library, such as `glibc 2.36`; asked of the running
            one if None.

    Raises:
        WrongPlatformError: not Linux, not x86-64, not glibc, or a glibc below 2.35.
    """
    if system != "Linux" or machine not in ("x86_64", "AMD64"):
        raise WrongPlatformError(
            f"NVIDIA's tritonserver from PyPI runs on Linux x86-64, and this is {system} {machine}: {IN_A_CONTAINER}."
        )
    libc = running_libc() if libc is None else libc
    found = re.fullmatch(r"glibc (\d+)\.(\d+).*", libc)
    if not found:
        raise WrongPlatformError(
            f"NVIDIA's tritonserver from PyPI needs glibc, and this system has "
            f"{libc or 'another C library'} (Alpine?): {IN_A_CONTAINER}."
        )
    if (int(found[1]), int(found[2])) < MINIMUM_GLIBC:
        raise WrongPlatformError(
            f"NVIDIA's tritonserver from PyPI needs glibc 2.35 or newer (Ubuntu 22.04, "
            f"Debian 12), and this system has {libc}: upgrade it, or {IN_A_CONTAINER}."
        )


def running_libc() -> str:
    """Name and version of this process's C library, empty if it doesn't say."""
    try:
        return os.confstr("CS_GNU_LIBC_VERSION") or ""
    except (AttributeError, OSError, ValueError):
        return ""


def check_python(*, shared_library: bool = True) -> None:
    """Check that this Python can make environments, and that Triton's Python backend can link it.

    Args:
        shared_library: whether Triton is to run with it.

    Raises:
        IncompletePythonError: a part is missing, as on a bare Debian or Ubuntu; names the packages.
    """
    lacks, packages, pyenv = [], [], ""
    if pythons.lacks_ensurepip():
        lacks.append("can't make environments (no ensurepip)")
        packages.append(pythons.venv_package())
    if shared_library and not has_shared_library():
        lacks.append("has no shared library, which Triton's Python backend links")
        packages.append(pythons.libpython_package())
        version = f"{sys.version_info[0]}.{sys.version_info[1]}"
        pyenv = f"With pyenv: PYTHON_CONFIGURE_OPTS=--enable-shared pyenv install --force {version}."
    if lacks:
        raise IncompletePythonError(pythons.incomplete(" and ".join(lacks), packages, pyenv))


def has_shared_library() -> bool:
    """Whether this Python's shared library lies where it was installed, or is known to the loader."""
    library = f"{pythons.libpython_package()}.so.1.0"
    places = (sysconfig.get_config_var("LIBDIR") or "", f"{sys.base_prefix}/lib")
    if any(Path(place, library).is_file() for place in places):
        return True
    # Tried in a process that loads nothing else of ours.
    program = f"import ctypes; ctypes.CDLL({library!r})"
    tried = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)  # noqa: S603
    return tried.returncode == 0


def check_libraries(program: Path, library_path: str, python_version: str) -> None:
    """Check with `ldd` that a program finds its shared libraries.

    Without its libpython the Python backend's stub can't start, and tritonserver then neither
    fails nor exits: it waits for ever.

    Args:
        program: the stub.
        library_path: the LD_LIBRARY_PATH it will run with.
        python_version: such as `3.11`; for the advice.

    Raises:
        MissingLibpythonError: a library, or a version of one, is not found.
    """
    try:
        listing = subprocess.run(  # noqa: S603 - our own command
            ["ldd", str(program)],  # noqa: S607
            env={**os.environ, "LD_LIBRARY_PATH": library_path, "LC_ALL": "C"},
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError:
        return  # no ldd, no early answer: the start's time limit still holds
    lines = (listing.stdout + listing.stderr).splitlines()
    missing = [line.strip() for line in lines if "not found" in line]
    if not missing:
        return
    libpython = next((line for line in missing if "libpython" in line), None)
    if libpython:
        raise MissingLibpythonError(missing_libpython(python_version, libpython))
    raise MissingLibpythonError(
        f"Triton's Python backend ({program.name}) misses a library: {'; '.join(missing)}. "
        f"Reinstall Triton's environment (delete it, then python -m server install), or "
        f"{IN_A_CONTAINER}."
    )


def missing_libpython(python_version: str, seen: str = "") -> str:
    """What is wrong without a shared libpython, and what to do.

    Args:
        python_version: such as `3.11`.
        seen: the loader's own words, if it has been asked.
    """
    return (
        f"Python {python_version} has no shared library here, and Triton's Python backend "
        f"links it{f' ({seen})' if seen else ''}. Install it: on Debian and Ubuntu apt install "
        f"libpython{python_version}; with pyenv PYTHON_CONFIGURE_OPTS=--enable-shared "
        f"pyenv install --force {python_version}; then python -m server install."
    )


def check_gpu(driver_library: str = "libcuda.so.1") -> None:
    """Check that an NVIDIA driver answers and has at least one GPU.

    Args:
        driver_library: the driver's library, as the loader knows it.

    Raises:
        MissingGpuError: no driver, or none that finds a GPU.
    """
    otherwise = "or serve on the CPU: --device cpu"
    try:
        driver = ctypes.CDLL(driver_library)
    except OSError:
        raise MissingGpuError(
            f"--device gpu: no NVIDIA driver on this machine ({driver_library} is not found, "
            f"nvidia-smi would not work). Install the driver (in a container: start it with "
            f"--gpus all), {otherwise}."
        ) from None
    count = ctypes.c_int(0)
    status = driver.cuInit(0) or driver.cuDeviceGetCount(ctypes.byref(count))
    if status != 0 or count.value == 0:
        raise MissingGpuError(
            f"--device gpu: the NVIDIA driver is here but gives no GPU (CUDA error {status}, "
            f"{count.value} devices). See what nvidia-smi says, {otherwise}."
        )

"""Where and with what something was measured."""

import contextlib
import importlib.metadata
import os
import platform
import shutil
import subprocess
from pathlib import Path
from typing import Final

import psutil
from pydantic import BaseModel, ConfigDict

from benchmarks.command import ROOT
from server.environment.triton_environment import TritonEnvironment
from server.launching.allocator import JEMALLOC, allocator_of, preloaded

_PACKAGES: Final = ("fastapi", "grpcio", "numpy", "onnxruntime", "tokenizers", "tritonclient", "uvicorn")
BUSY: Final = 0.25
"""Share of the CPU above which the machine is said to do other things."""
_LOOK_SECONDS: Final = 3.0


class Machine(BaseModel):
    """A machine and its software.

    `load` is the share of its cores that was used in the seconds before anything was measured, `allocator` who gives
    Triton its memory.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    processor: str
    cores: int
    memory_gb: float
    gpus: list[str]
    system: str
    load: float
    python: str
    packages: dict[str, str]
    triton: dict[str, str]
    allocator: str
    commit: str

    @property
    def is_busy(self) -> bool:
        """Whether other work ran when the measurement began."""
        return self.load > BUSY


def this_machine(environment: TritonEnvironment) -> Machine:
    """What can be learned here; `triton` holds the packages in Triton's environment."""
    return Machine(
        processor=_processor(),
        cores=len(os.sched_getaffinity(0)),
        memory_gb=round(psutil.virtual_memory().total / 1e9, 1),
        gpus=_said("nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader").splitlines(),
        system=f"{platform.system()} {platform.release()}, {' '.join(platform.libc_ver())}",
        load=round(psutil.cpu_percent(_LOOK_SECONDS) / 100, 2),
        python=platform.python_version(),
        packages=_installed(),
        triton={name: version for name, version in environment.packages.items() if version},
        allocator=JEMALLOC if preloaded() else allocator_of(os.getpid()),
        commit=_commit(),
    )


def _installed() -> dict[str, str]:
    """The versions of those packages that are here: the part gpu needs neither the gateway's nor ONNX Runtime."""
    versions = {}
    for name in _PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[name] = importlib.metadata.version(name)
    return versions


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _commit() -> str:
    commit = _said("git", "rev-parse", "--short", "HEAD") or "unknown"
    return f"{commit} with changes" if _said("git", "status", "--porcelain", "--untracked-files=no") else commit


def _said(program: str, *arguments: str) -> str:
    """A program's output; empty if it isn't here or fails, as nvidia-smi without a GPU."""
    if shutil.which(program) is None:
        return ""
    done = subprocess.run([program, *arguments], cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603
    return done.stdout.strip() if done.returncode == 0 else ""

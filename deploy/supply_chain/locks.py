"""The lock files: which there are, what they are for, and how one is read and written.

`write_locks` makes them from pyproject.toml.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

CUDA: Final = re.compile(r"(torch|triton|(nvidia|cuda)-.*)")
"""PyTorch and what only its build for CUDA needs: its CPU build comes without, and from another index than PyPI."""
_HEADER: Final = "# Made by `make lock` from pyproject.toml; don't edit."


@dataclass(frozen=True)
class Lock:
    """One lock file."""

    file: str
    what: str
    """What it is for, one line."""
    extras: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    project: bool = True
    """With the project's own dependencies."""
    dependencies: bool = True
    """With what the packages need in turn."""
    apart: bool = False
    """Versions are chosen for it alone, so that what it needs holds nothing else back."""
    cuda: bool | None = False
    """Whether PyTorch and its CUDA packages are in it (True: they alone; None: they as well)."""


DEV: Final = ("bulk", "dev", "telegram", "tracing", "tracking", "training")
LOCKS: Final = (
    Lock("locks/build.txt", "What makes the project's wheel", groups=("build",), project=False),
    Lock("locks/serving.txt", "`make serve`: .venv"),
    Lock("locks/gateway.txt", "The gateway's image", extras=("tracing",)),
    Lock(
        "locks/telegram.txt",
        "The Telegram bot: its image, and `make bot`",
        extras=("telegram",),
        groups=("telegram-image",),
        project=False,
    ),
    Lock("locks/bulk.txt", "Bulk scoring: its image, and `make classify`", extras=("bulk",)),
    Lock("locks/export.txt", "`make gpu-weights`", extras=("export",), project=False),
    Lock("locks/ray.txt", "Jobs on Ray", extras=("ray",)),
    Lock("locks/tools/cluster.txt", "`make test-cluster`", extras=("bulk", "ray", "spark"), groups=("cluster-tests",)),
    Lock(
        "locks/storage.txt",
        "The model repository in a bucket: its image",
        extras=("storage",),
        groups=("storage-image",),
        project=False,
    ),
    Lock("locks/tools/storage.txt", "`make test-storage`", extras=("storage",), groups=("storage-tests",), apart=True),
    Lock("locks/tools/deploy.txt", "`make check-deploy`", extras=("deploy",), apart=True),
    Lock("locks/tools/helm.txt", "helm for `make check-deploy`", groups=("helm",), project=False, dependencies=False),
    Lock("locks/tracking.txt", "Runs in MLflow", extras=("tracking",), project=False),
    Lock("locks/training.txt", "`make training`, without PyTorch", extras=("training",)),
    Lock("locks/dev.txt", "`make test`, without PyTorch", extras=DEV),
    Lock("locks/torch.txt", "PyTorch as PyPI has it, with CUDA", extras=("training",), project=False, cuda=True),
    Lock("locks/tools/uv.txt", "`make python`, `make lock`", groups=("uv",), project=False),
    Lock(
        "locks/tools/supply.txt",
        "The commands of docs/running/supply-chain.md",
        groups=("build", "supply"),
        project=False,
        apart=True,
    ),
    Lock(
        "server/environment/requirements.txt",
        "Triton's own environment",
        groups=("triton",),
        project=False,
        dependencies=False,
        cuda=None,
    ),
    Lock(
        "server/environment/requirements-gpu.txt",
        "The same for a GPU",
        groups=("triton-gpu",),
        project=False,
        dependencies=False,
        cuda=None,
    ),
    Lock(
        "server/text_backend/requirements-image.txt",
        "What NVIDIA's image lacks for the text models",
        groups=("triton-image",),
        project=False,
        dependencies=False,
    ),
)


@dataclass(frozen=True)
class Pinned:
    """A package of a lock."""

    name: str
    version: str
    marker: str
    hashes: frozenset[str]
    """SHA-256 values, hexadecimal."""


def asked_for(lock: Lock, pyproject: dict[str, Any]) -> list[str]:
    """The requirements of a lock, as pyproject.toml has them."""
    project = pyproject["project"]
    lines = list(project["dependencies"]) if lock.project else []
    for extra in lock.extras:
        lines += project["optional-dependencies"][extra]
    for group in lock.groups:
        lines += pyproject["dependency-groups"][group]
    return lines


def read_lock(text: str) -> dict[str, Pinned]:
    """The packages of a lock file's text, by name."""
    found = {}
    for line in text.replace("\\\n", " ").splitlines():
        if line.strip() and not line.startswith("#"):
            name, _, rest = line.partition("--hash")[0].partition("==")
            version, _, marker = rest.partition(";")
            hashes = frozenset(re.findall(r"--hash=sha256:([0-9a-f]{64})", line))
            found[name] = Pinned(name, version.strip(), marker.strip(), hashes)
    return found


def render(lock: Lock, packages: Iterable[Pinned]) -> str:
    """A lock file's text, in the format of pip."""
    lines = [f"{_HEADER} {lock.what}."]
    for package in sorted(packages, key=lambda package: package.name):
        marker = f" ; {package.marker}" if package.marker else ""
        hashes = [f"--hash=sha256:{value}" for value in sorted(package.hashes)]
        lines.append(" \\\n    ".join([f"{package.name}=={package.version}{marker}", *hashes]))
    return "\n".join(lines) + "\n"

"""What is shipped, and its packages' wheels: those that the images install, with their metadata and licence texts.

The images run Python 3.12 on x86-64. Whatever Python runs this, pip fetches the wheels for those, checks them against
the lock, and keeps them in `build/supply/wheels`: what a package says of itself is read from the very file that an
image gets.
"""

import email.parser
import hashlib
import json
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from email.message import Message
from pathlib import Path
from typing import Any, Final

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from deploy.supply_chain.command import ROOT, SupplyChainError
from deploy.supply_chain.locks import read_lock

WHEELS: Final = ROOT / "build/supply/wheels"
PYTHON: Final = "3.12"
_PLATFORMS: Final = [f"manylinux_2_{minor}_x86_64" for minor in range(5, 36)] + [
    *("manylinux1_x86_64", "manylinux2010_x86_64", "manylinux2014_x86_64", "linux_x86_64")
]
_ENVIRONMENT: Final = {
    "python_version": PYTHON,
    "python_full_version": f"{PYTHON}.0",
    "platform_machine": "x86_64",
    "sys_platform": "linux",
    "platform_system": "Linux",
    "os_name": "posix",
    "implementation_name": "cpython",
    "platform_python_implementation": "CPython",
}
_LICENCE_NAMES: Final = ("licen", "copying", "notice", "thirdparty", "third_party", "authors")


@dataclass(frozen=True)
class Shipped:
    """Something that is given away: an image, or a release."""

    name: str
    what: str
    locks: tuple[str, ...]
    """The packages in it."""
    dockerfile: str = ""
    """Of an image."""
    weights: bool = False
    """Whether the model repository is in it."""


SHIPPED: Final = (
    Shipped(
        "release",
        "The repository's release: the wheel, the models, and what `make serve` installs for them",
        ("locks/serving.txt", "server/environment/requirements.txt"),
        weights=True,
    ),
    Shipped("gateway", "The gateway's image", ("locks/gateway.txt",), "deploy/gateway.Dockerfile"),
    Shipped(
        "triton",
        "Triton's image: what is added to NVIDIA's",
        ("server/text_backend/requirements-image.txt",),
        "deploy/triton.Dockerfile",
    ),
    Shipped("telegram", "The Telegram bot's image", ("locks/telegram.txt",), "deploy/telegram.Dockerfile"),
    Shipped("bulk", "The image for bulk scoring", ("locks/bulk.txt",), "deploy/kubernetes/bulk.Dockerfile"),
    Shipped(
        "storage",
        "The image that brings models into a bucket and out of it",
        ("locks/storage.txt",),
        "deploy/storage/Dockerfile",
    ),
)


@dataclass(frozen=True)
class Package:
    """A package as its wheel has it."""

    name: str
    version: str
    sha256: str
    metadata: Message
    texts: Mapping[str, str]
    """Licences and notices, by their place in the wheel."""

    @property
    def needs(self) -> list[str]:
        """Names of what it needs in an image, without its extras."""
        lines = map(Requirement, self.metadata.get_all("Requires-Dist", []))
        return sorted(
            canonicalize_name(line.name)
            for line in lines
            if line.marker is None or line.marker.evaluate(_ENVIRONMENT | {"extra": ""})
        )


def packages_of(shipped: Shipped, root: Path = ROOT) -> list[Package]:
    """The packages of an image or release, by name.

    Raises:
        SupplyChainError: pip can't fetch a wheel with a hash of the lock.
    """
    found = {package.name: package for lock in shipped.locks for package in _packages(root / lock)}
    return [found[name] for name in sorted(found)]


def _packages(lock: Path) -> list[Package]:
    pinned = read_lock(lock.read_text("utf-8"))
    wheels = _known_wheels()
    missing = [package for package in pinned.values() if not wheels.keys() & package.hashes]
    if missing:
        _fetch(lock)
        wheels = _known_wheels()
    return [_read(wheels[min(wheels.keys() & package.hashes)]) for package in pinned.values()]


def _known_wheels() -> dict[str, Path]:
    return {sha256_of(path): path for path in WHEELS.glob("*.whl")}


def sha256_of(path: Path) -> str:
    """A file's SHA-256, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _fetch(lock: Path) -> None:
    WHEELS.mkdir(parents=True, exist_ok=True)
    platforms = [f"--platform={platform}" for platform in _PLATFORMS]
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes"]
    options = ["--only-binary=:all:", f"--python-version={PYTHON}", *platforms, f"--dest={WHEELS}"]
    done = subprocess.run([*command, *options, "--requirement", str(lock)], check=False, stdout=sys.stderr)  # noqa: S603
    if done.returncode:
        raise SupplyChainError(f"pip can't fetch the wheels of {lock.name} (its own words are above)")


def _read(wheel: Path) -> Package:
    with zipfile.ZipFile(wheel) as file:
        names = file.namelist()
        (place,) = {name.partition("/")[0] for name in names if name.partition("/")[0].endswith(".dist-info")}
        parser = email.parser.BytesParser()
        metadata = parser.parsebytes(file.read(f"{place}/METADATA"))
        texts = {name: file.read(name).decode("utf-8", "replace") for name in names if _is_licence(name)}
    return Package(canonicalize_name(metadata["Name"]), metadata["Version"], sha256_of(wheel), metadata, texts)


def _is_licence(name: str) -> bool:
    """Whether a file of a wheel is a licence or a notice: by its name, and no program."""
    base = name.rpartition("/")[2].lower()
    return base.startswith(_LICENCE_NAMES) and not base.endswith((".py", ".pyc", ".pyi", ".h", ".so", ".json"))


@dataclass(frozen=True)
class Weights:
    """A version of a model, by its card."""

    model: str
    version: str
    licence: str
    base_model: str
    files: Mapping[str, str]
    """SHA-256 by file name."""


def shipped_weights(root: Path = ROOT) -> list[Weights]:
    """Every version in the model repository that is a directory of its own, not a link to another's.

    Raises:
        SupplyChainError: a file is not the one that its card names.
    """
    found = []
    for card in sorted((root / "model_repository").glob("*/*/card.json")):
        directory = card.parent
        if not directory.name.isdecimal() or directory.is_symlink():
            continue
        says: dict[str, Any] = json.loads(card.read_text("utf-8"))
        for name, sha256 in says["files"].items():
            if sha256_of(directory / name) != sha256:
                raise SupplyChainError(f"{directory / name} is not the file that its card names: publish it again")
        model = directory.parent.name
        found.append(Weights(model, directory.name, says["licence"], says["base_model"], says["files"]))
    return found

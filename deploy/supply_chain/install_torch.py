"""Install PyTorch into the environment whose Python runs this: PyPI's build, or the one of your own index.

    .venv-dev/bin/python -m deploy.supply_chain.install_torch locks/torch.txt

PyPI has one build for Linux, with CUDA. The CPU build has the same version with a local part (`2.13.0+cpu`) and comes
from another index, or a folder, that pip was told of (PIP_EXTRA_INDEX_URL, PIP_FIND_LINKS, pip.conf). pip prefers it
where it finds it, and so does this. The lock can't name its hash: there is one for each Python, operating system and
CUDA version, on an index that may build anew. So:

- PyPI's build is installed only with a hash of the lock, and with its CUDA packages;
- another build is installed because your index offers it. Its SHA-256 is said, and it must be `TORCH_SHA256` if that
  variable is set (several values are separated by spaces: one for each Python).

Runs before anything is installed, so it needs the standard library alone.
"""

import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from deploy.supply_chain.command import SupplyChainError, run_command

PIP: Final = (sys.executable, "-m", "pip", "--disable-pip-version-check")
VARIABLE: Final = "TORCH_SHA256"


def torch_version(lock: str) -> str:
    """The version that a lock file pins."""
    found = re.search(r"^torch==([^\s;]+)", lock, re.MULTILINE)
    if found is None:
        raise SupplyChainError("the lock names no torch: run `make lock`")
    return found[1]


def offered(version: str) -> tuple[str, str, str]:
    """The build that pip takes where it looks.

    Returns:
        Its version with the local part, its URL, its SHA-256 (empty if the index doesn't say it).

    Raises:
        SupplyChainError: pip finds none.
    """
    with tempfile.TemporaryDirectory() as name:
        report = Path(name, "report.json")
        command = [*PIP, "install", "--quiet", "--dry-run", "--ignore-installed", "--no-deps", "--only-binary=:all:"]
        done = subprocess.run([*command, "--report", str(report), f"torch=={version}"], check=False)  # noqa: S603
        if done.returncode:
            raise SupplyChainError(f"pip finds no torch {version} (its own words are above): is your index reachable?")
        (found,) = json.loads(report.read_text("utf-8"))["install"]
    return found["metadata"]["version"], found["download_info"]["url"], _sha256(found["download_info"])


def _sha256(download: dict[str, Any]) -> str:
    said = download.get("archive_info", {})
    stated: str = said.get("hashes", {}).get("sha256", "") or said.get("hash", "").removeprefix("sha256=")
    parts = urlsplit(download["url"])
    if stated or parts.scheme != "file":
        return stated
    with Path(unquote(parts.path)).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def own_build(version: str, url: str, sha256: str, wanted: list[str]) -> str:
    """The requirement of a build that isn't PyPI's.

    Args:
        version: with its local part.
        url: where it comes from; only said.
        sha256: what it has, as far as the index says so.
        wanted: what it may have; anything if empty.

    Raises:
        SupplyChainError: it is another one than wanted, or nobody says which it is.
    """
    if wanted and sha256 and sha256 not in wanted:
        raise SupplyChainError(f"torch {version} from {_shown(url)} has SHA-256 {sha256}, and {VARIABLE} is another")
    hashes = wanted or [sha256]
    if not hashes[0]:
        raise SupplyChainError(
            f"the index that has torch {version} ({_shown(url)}) states no SHA-256: set {VARIABLE} to the one you trust"
        )
    return " ".join([f"torch=={version}", *(f"--hash=sha256:{value}" for value in hashes)])


def _shown(url: str) -> str:
    """Host or folder of a URL, without a password."""
    parts = urlsplit(url)
    return parts.hostname or str(Path(unquote(parts.path)).parent)


def main() -> None:
    """Install it, unless it is there."""
    if len(sys.argv) != 2:
        raise SupplyChainError("usage: python -m deploy.supply_chain.install_torch locks/torch.txt")
    lock = Path(sys.argv[1])
    version = torch_version(lock.read_text("utf-8"))
    build, url, sha256 = offered(version)
    requirements = lock.read_text("utf-8")
    if build != version:
        wanted = os.environ.get(VARIABLE, "").split()
        requirements = own_build(build, url, sha256, wanted)
        pinned = f"{VARIABLE} names its SHA-256" if wanted else f"nothing pins it. To pin it: {VARIABLE}={sha256}"
        print(f"torch {build} comes from {_shown(url)}, which pip is set up to use, and not from PyPI: {pinned}")
    with tempfile.TemporaryDirectory() as name:
        file = Path(name, "torch.txt")
        file.write_text(requirements, "utf-8")
        command = [*PIP, "install", "--quiet", "--no-deps", "--only-binary=:all:", "--require-hashes"]
        done = subprocess.run([*command, "--requirement", str(file)], check=False)  # noqa: S603
    if done.returncode:
        raise SupplyChainError(f"pip could not install torch {build} (its own words are above)")


if __name__ == "__main__":
    run_command(main)

"""Write the lock files: every package of every environment and image, with its version and its files' SHA-256.

    python -m deploy.supply_chain.write_locks            # what `make lock` does
    python -m deploy.supply_chain.write_locks --upgrade  # newer versions of what pyproject.toml leaves open

pyproject.toml says what is asked for. uv finds versions that fit together, once for all environments, so that a package
has one version everywhere. Versions of the present locks are kept as long as they fit. Nothing that was published after
`tool.uv.exclude-newer` is looked at: the same input gives the same bytes.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote

from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.tags import Tag
from packaging.utils import canonicalize_name, parse_wheel_filename

from deploy.supply_chain.command import ROOT, SupplyChainError, run_command
from deploy.supply_chain.locks import CUDA, LOCKS, Lock, Pinned, asked_for, render

PYTHONS: Final = ("3.11", "3.12", "3.13")
MACHINES: Final = ("x86_64", "aarch64")
_PIN: Final = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;]+)", re.MULTILINE)


def where(marker: str) -> str | None:
    """A marker without what holds for every system of ours: empty if it always holds, None if never."""
    if not marker:
        return ""
    held = {
        Marker(marker).evaluate(
            {
                "python_version": python,
                "python_full_version": f"{python}.0",
                "platform_machine": machine,
                "sys_platform": "linux",
                "platform_system": "Linux",
                "os_name": "posix",
                "implementation_name": "cpython",
                "platform_python_implementation": "CPython",
                "extra": "",
            }
        )
        for python in PYTHONS
        for machine in MACHINES
    }
    return None if held == {False} else "" if held == {True} else marker


def fits(tag: Tag) -> bool:
    """Whether a wheel with this tag is for one of our Pythons, on Linux with glibc."""
    if tag.platform != "any" and not (
        tag.platform.startswith(("manylinux", "linux")) and tag.platform.endswith(MACHINES)
    ):
        return False
    ours = [f"cp{python.replace('.', '')}" for python in PYTHONS]
    if tag.interpreter.startswith("py3"):
        return tag.abi == "none"
    if tag.abi == "abi3":
        return int(tag.interpreter.removeprefix("cp3")) <= int(PYTHONS[-1].partition(".")[2])
    return tag.interpreter in ours and tag.abi in (tag.interpreter, "none")


def hashes_of(package: dict[str, Any]) -> frozenset[str]:
    """SHA-256 of the files of a package of pylock.toml that one of our systems would take.

    Of its wheels those that fit; of the source only where there is no such wheel, so that nothing else is ever built.
    """
    fitting = set()
    for wheel in package.get("wheels", ()):
        name = unquote(wheel["url"].rpartition("/")[2])
        if any(map(fits, parse_wheel_filename(name)[3])):
            fitting.add(wheel["hashes"]["sha256"])
    if not fitting and "sdist" in package:
        fitting = {package["sdist"]["hashes"]["sha256"]}
    if not fitting:
        raise SupplyChainError(f"{package['name']} {package['version']} has no file for Linux: choose another version")
    return frozenset(fitting)


def uv(requirements: Iterable[str], *flags: str, root: Path) -> None:
    """Let uv compile requirements.

    Raises:
        SupplyChainError: they don't fit together, or the package index can't be reached.
    """
    program = Path(sys.executable).with_name("uv")
    command = [str(program), "pip", "compile", "--quiet", "--universal", f"--python-version={PYTHONS[0]}"]
    done = subprocess.run(  # noqa: S603 - our own command
        [*command, "--no-header", "--no-annotate", "--no-emit-index-url", *flags, "-"],
        input="\n".join(requirements), cwd=root, text=True, capture_output=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise SupplyChainError(f"uv finds no versions for {flags[-1]}:\n{done.stderr.strip()}")


def write_locks(root: Path, *, upgrade: bool = False) -> list[str]:
    """Write every lock file of a checkout.

    Returns:
        The names of those that changed.

    Raises:
        SupplyChainError: the requirements don't fit together, or the package index can't be reached.
    """
    pyproject = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))
    common = _versions([lock for lock in LOCKS if lock.dependencies and not lock.apart], pyproject, {}, root, upgrade)
    changed = []
    for lock in LOCKS:
        versions = _versions([lock], pyproject, common, root, upgrade) if lock.apart else common
        if _write(lock, pyproject, versions, root):
            changed.append(lock.file)
    return changed


def _versions(
    locks: list[Lock], pyproject: dict[str, Any], preferred: dict[str, str], root: Path, upgrade: bool
) -> dict[str, str]:
    """Versions that fit together for all these locks: preferred ones, then present ones, then the newest."""
    asked = [line for lock in locks for line in asked_for(lock, pyproject)]
    files = [root / lock.file for lock in locks]
    present = {} if upgrade else {name: one for file in files if file.exists() for name, one in _pins(file).items()}
    exact = {canonicalize_name(Requirement(line).name) for line in asked if "==" in line}
    kept = [f"{name}=={one}" for name, one in {**present, **preferred}.items() if name not in exact]
    with tempfile.TemporaryDirectory() as name:
        # uv prefers what the file that it is to write says already.
        output = Path(name, "versions.txt")
        output.write_text("\n".join(kept), "utf-8")
        uv(asked, "--output-file", str(output), root=root)
        return _pins(output)


def _pins(file: Path) -> dict[str, str]:
    return {canonicalize_name(name): version for name, version in _PIN.findall(file.read_text("utf-8"))}


def _write(lock: Lock, pyproject: dict[str, Any], versions: dict[str, str], root: Path) -> bool:
    with tempfile.TemporaryDirectory() as name:
        output, constraints = Path(name, "pylock.toml"), Path(name, "constraints.txt")
        constraints.write_text("\n".join(f"{one}=={version}" for one, version in versions.items()), "utf-8")
        asked = asked_for(lock, pyproject)
        if not lock.dependencies:
            asked = [line if "==" in line else f"{line}=={versions[line]}" for line in asked]
        fixed = ["--constraint", str(constraints)] if lock.dependencies else ["--no-deps"]
        uv(asked, "--format=pylock.toml", "--generate-hashes", *fixed, "--output-file", str(output), root=root)
        found = tomllib.loads(output.read_text("utf-8"))["packages"]
    packages = [
        Pinned(package["name"], package["version"], marker, hashes_of(package))
        for package in found
        if (marker := where(package.get("marker", ""))) is not None
        and lock.cuda in (None, bool(CUDA.fullmatch(package["name"])))
    ]
    path, text = root / lock.file, render(lock, packages)
    if path.exists() and path.read_text("utf-8") == text:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".unfinished-{path.name}")
    unfinished.write_text(text, "utf-8")
    os.replace(unfinished, path)
    return True


def main() -> None:
    """Write the lock files and say which changed."""
    parser = argparse.ArgumentParser(prog="python -m deploy.supply_chain.write_locks", description=__doc__)
    parser.add_argument("--upgrade", action="store_true", help="don't keep the versions of the present locks")
    parser.add_argument("--check", action="store_true", help="fail if a lock file was not up to date")
    arguments = parser.parse_args()
    changed = write_locks(ROOT, upgrade=arguments.upgrade)
    print(f"changed: {', '.join(changed)}" if changed else f"all {len(LOCKS)} lock files are up to date")
    if arguments.check and changed:
        raise SupplyChainError("lock files were not what `make lock` makes of pyproject.toml: commit what it made")


if __name__ == "__main__":
    run_command(main)

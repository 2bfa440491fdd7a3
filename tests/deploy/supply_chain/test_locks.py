"""The lock files agree with pyproject.toml, with each other, and with what is installed here."""

import importlib.metadata
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.tags import parse_tag
from packaging.utils import canonicalize_name

from deploy.supply_chain.command import ROOT
from deploy.supply_chain.locks import CUDA, LOCKS, Lock, asked_for, read_lock, render
from deploy.supply_chain.write_locks import fits, hashes_of, where
from server.environment import installation
from server.errors import TritonEnvironmentError

PYPROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
MAKEFILE = (ROOT / "Makefile").read_text("utf-8")
every_lock = pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.file)


def text_of(lock: Lock) -> str:
    return (ROOT / lock.file).read_text("utf-8")


@every_lock
def test_every_line_has_a_version_and_hashes(lock: Lock) -> None:
    for line in text_of(lock).replace("\\\n", " ").splitlines()[1:]:
        assert re.fullmatch(r"[a-z0-9-]+==[\w.!+]+( ; [^#]+?)?( +--hash=sha256:[0-9a-f]{64})+", line), line


@every_lock
def test_a_lock_pins_what_pyproject_asks_for(lock: Lock) -> None:
    pinned = read_lock(text_of(lock))
    for line in asked_for(lock, PYPROJECT):
        asked = Requirement(line)
        name = canonicalize_name(asked.name)
        if lock.cuda in (None, bool(CUDA.fullmatch(name))):
            assert pinned[name].version in asked.specifier, f"{line} is not in {lock.file}: make lock"


COMPLETE = [lock for lock in LOCKS if lock.dependencies and not lock.cuda]


@pytest.mark.parametrize("lock", COMPLETE, ids=lambda lock: lock.file)
def test_a_lock_is_complete(lock: Lock) -> None:
    """What its packages need in turn, by the metadata of those that are installed here, is in it too."""
    pinned = read_lock(text_of(lock))
    here = {canonicalize_name(one.name): one for one in importlib.metadata.distributions()}
    missing = set()
    for name, package in pinned.items():
        if name in here and here[name].version == package.version:
            for need in map(Requirement, here[name].requires or []):
                if need.marker is None or need.marker.evaluate({"extra": ""}):
                    missing |= {canonicalize_name(need.name)} - pinned.keys()
    assert {name for name in missing if not CUDA.fullmatch(name)} == set()


def test_a_package_has_one_version_everywhere() -> None:
    """Triton's CUDA libraries aside, which are those of its ONNX Runtime, and tools that run apart."""
    versions: dict[str, set[str]] = {}
    for lock in [lock for lock in LOCKS if not lock.apart]:
        for name, package in read_lock(text_of(lock)).items():
            if not (lock.file.endswith("requirements-gpu.txt") and name.startswith("nvidia-")):
                versions.setdefault(name, set()).add(package.version)
    assert {name: found for name, found in versions.items() if len(found) > 1} == {}


def test_the_packages_of_serving_are_in_no_lock_twice_and_without_torch() -> None:
    for lock in LOCKS:
        names = re.findall(r"^([\w.-]+)==", text_of(lock), re.MULTILINE)
        assert len(names) == len(set(names))
        if not lock.file.endswith(("torch.txt", "requirements-gpu.txt")):
            assert not [name for name in names if name == "torch" or name.startswith("nvidia-cu")], lock.file


def test_what_is_installed_here_is_what_the_lock_says() -> None:
    pinned = read_lock((ROOT / "locks/dev.txt").read_text("utf-8"))
    found = {canonicalize_name(one.name): one.version for one in importlib.metadata.distributions()}
    assert {name: (found.get(name), package.version) for name, package in pinned.items()} == {
        name: (package.version, package.version) for name, package in pinned.items()
    }


def test_nothing_is_installed_without_a_hash() -> None:
    """Every pip of the Makefile and of the Dockerfiles, the project itself aside."""
    files = [ROOT / "Makefile", *(ROOT / "deploy").rglob("*Dockerfile")]
    commands = [
        line.strip() for file in files for line in file.read_text("utf-8").replace("\\\n", " ").splitlines()
        if re.search(r"\bpip install\b", line)
    ]  # fmt: skip
    assert len(commands) >= 2 + 4
    for command in commands:
        assert "--no-deps" in command
        assert "--require-hashes" in command or command.endswith("--no-build-isolation --editable ."), command


def test_triton_s_own_environment_is_installed_with_hashes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    requirements = tmp_path / "requirements.txt"
    requirements.write_text("numpy==2.4.6\n")
    monkeypatch.setattr(installation, "requirements_file", lambda *, gpu: requirements)  # noqa: ARG005
    with pytest.raises(
        TritonEnvironmentError, match=r"pip could not install requirements\.txt .*if hashes do not match"
    ):
        installation.install(tmp_path / "environment")


def test_every_lock_is_used() -> None:
    used = "\n".join(
        path.read_text("utf-8")
        for pattern in ("Makefile", "deploy/**/*Dockerfile", "docs/**/*.md", "server/environment/*.py")
        for path in ROOT.glob(pattern)
    )
    assert [lock.file for lock in LOCKS if lock.file.rpartition("/")[2] not in used] == []


@pytest.mark.parametrize(
    ("tag", "ours"),
    [
        ("py3-none-any", True),
        ("cp312-cp312-manylinux_2_28_x86_64", True),
        ("cp313-cp313-manylinux2014_aarch64", True),
        ("cp39-abi3-manylinux2014_x86_64", True),
        ("py3-none-manylinux_2_35_x86_64", True),
        ("cp314-abi3-manylinux2014_x86_64", False),
        ("cp310-cp310-manylinux2014_x86_64", False),
        ("cp313-cp313t-manylinux2014_x86_64", False),
        ("cp312-cp312-musllinux_1_2_x86_64", False),
        ("cp312-cp312-manylinux2014_ppc64le", False),
        ("cp312-cp312-win_amd64", False),
        ("cp312-cp312-macosx_11_0_arm64", False),
    ],
)
def test_wheels_that_a_system_of_ours_would_take(tag: str, ours: bool) -> None:
    assert any(map(fits, parse_tag(tag))) is ours


def test_the_source_is_locked_only_without_a_wheel() -> None:
    sdist = {"hashes": {"sha256": "5" * 64}}
    wheel = {"url": "https://index/a-2%211-py3-none-any.whl", "hashes": {"sha256": "a" * 64}}
    foreign = {"url": "https://index/a-1-cp312-cp312-win_amd64.whl", "hashes": {"sha256": "f" * 64}}
    package = {"name": "a", "version": "2!1", "sdist": sdist}
    assert hashes_of(package | {"wheels": [wheel, foreign]}) == {"a" * 64}
    assert hashes_of(package | {"wheels": [foreign]}) == {"5" * 64}


def test_markers_of_other_systems_are_dropped() -> None:
    assert where("python_full_version >= '3.11'") == ""
    assert where("sys_platform == 'win32'") is None
    assert where("python_full_version < '3.13'") == "python_full_version < '3.13'"


def test_a_lock_is_read_as_it_was_written() -> None:
    lock = next(lock for lock in LOCKS if lock.file == "locks/tools/supply.txt")
    assert render(lock, read_lock(text_of(lock)).values()) == text_of(lock)
    assert " ; " in text_of(lock)

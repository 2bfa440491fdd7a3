"""deploy/storage/Dockerfile: it copies what the command imports, and installs pinned versions of the rest."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.deploy.test_gateway_image import left_out_of_the_build
from tests.support.triton_process import ROOT

pytestmark = pytest.mark.storage

TEXT = (ROOT / "deploy/storage/Dockerfile").read_text("utf-8")


def test_it_has_what_the_command_imports(tmp_path: Path) -> None:
    copied = [source for source, _ in re.findall(r"^COPY (?!--from)(\S+) (\./\S+)$", TEXT, re.MULTILINE)]
    assert copied == ["contract", "deploy/__init__.py", "deploy/storage"]
    for source in copied:
        assert not left_out_of_the_build(source)
        target = tmp_path / source
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(ROOT / source, target) if (ROOT / source).is_dir() else shutil.copy(ROOT / source, target)
    command = [
        sys.executable,
        "-I",
        "-c",
        "import sys; sys.path.insert(0, sys.argv.pop(1)); import runpy; "
        "runpy.run_module('deploy.storage', run_name='__main__')",
        str(tmp_path),
        "fetch",
        "--help",
    ]
    shown = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True, timeout=60)
    assert "--every" in shown.stdout


def test_what_it_imports_is_in_its_lock() -> None:
    assert "COPY locks/storage.txt ./" in TEXT
    assert "--no-deps --only-binary=:all: --require-hashes" in TEXT
    command = [
        sys.executable,
        "-c",
        "import sys, importlib.metadata as metadata; before = set(sys.modules); import deploy.storage.__main__; "
        "known = metadata.packages_distributions(); "
        "roots = {module.partition('.')[0] for module in set(sys.modules) - before}; "
        "print(*{name for root in roots for name in known.get(root, ())}, sep='\\n')",
    ]
    printed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60).stdout
    imported = {name.lower().replace("_", "-") for name in printed.split()} - {"ru-emotions-triton"}
    locked = set(re.findall(r"^([\w.-]+)==", (ROOT / "locks/storage.txt").read_text("utf-8"), re.MULTILINE))
    assert {"obstore", "pydantic", "tritonclient"} <= imported <= locked

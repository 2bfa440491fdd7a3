"""Clients import the contract, the gateway's public schemas, each other's shared scorer, and nothing else of ours."""

import ast
import sys
from pathlib import Path

import pytest

from tests.support.triton_process import ROOT

CLIENTS = ROOT / "clients"
PARTS = sorted(path.parent.name for path in CLIENTS.glob("*/__init__.py"))
OURS = {"benchmarks", "clients", "contract", "deploy", "gateway", "server", "tests", "training"}
SHARED = ("contract", "gateway.api.schemas", "clients.scoring")
# `clients` alone is what Ray and Spark send to their workers.
CLUSTER = ("clients", "clients.bulk", "clients.cluster")
BELOW = {"cluster": ("clients.bulk",), "ray": CLUSTER, "spark": CLUSTER}
MOST_ENTRIES = 14


def every_import(file: Path) -> set[str]:
    """Modules that a file imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file} imports relatively"
            found.add(node.module or "")
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return found


def imported(file: Path) -> set[str]:
    """Those of them that are the project's."""
    return {name for name in every_import(file) if name.split(".")[0] in OURS}


def is_allowed(name: str, part: str) -> bool:
    allowed = (*SHARED, f"clients.{part}", *BELOW.get(part, ()))
    return any(name == each or (each != "clients" and name.startswith(f"{each}.")) for each in allowed)


def test_the_parts_are_found() -> None:
    assert {"bulk", "scoring"} <= set(PARTS)


@pytest.mark.parametrize("part", PARTS)
def test_a_part_imports_what_it_may(part: str) -> None:
    wrong = {
        f"{file.relative_to(ROOT)}: {name}"
        for file in (CLIENTS / part).rglob("*.py")
        for name in imported(file)
        if not is_allowed(name, part)
    }
    assert wrong == set()


def test_what_is_shared_knows_no_part() -> None:
    used = set().union(*(imported(file) for file in (CLIENTS / "scoring").rglob("*.py")))
    assert not [name for name in used if name.startswith("clients.") and not name.startswith("clients.scoring")]
    assert not [name for name in used if name.startswith("gateway")]


def test_a_forbidden_import_is_found(tmp_path: Path) -> None:
    file = tmp_path / "wrong.py"
    file.write_text(
        "def f():\n    import server.launching\n    from gateway.app import x\n    from contract import y\n"
    )
    assert {name for name in imported(file) if not is_allowed(name, "bulk")} == {"server.launching", "gateway.app"}


def test_nobody_imports_clients() -> None:
    rooms = OURS - {"clients", "tests"}
    files = [file for room in rooms for file in (ROOT / room).rglob("*.py")]
    assert files
    assert not [file for file in files if any(name.split(".")[0] == "clients" for name in imported(file))]


@pytest.mark.parametrize("folder", [path for path in [CLIENTS, *CLIENTS.rglob("*")] if path.is_dir()], ids=str)
def test_few_entries_in_a_folder(folder: Path) -> None:
    if folder.name != "__pycache__":
        assert len([path for path in folder.iterdir() if path.name != "__pycache__"]) <= MOST_ENTRIES


def test_scoring_needs_no_heavy_library() -> None:
    heavy = {"torch", "transformers", "pyarrow", "tqdm", "httpx"}
    files = list((CLIENTS / "scoring").rglob("*.py"))
    names = {name.split(".")[0] for file in files for name in every_import(file)}
    assert names
    assert not names & heavy
    assert names - OURS - set(sys.stdlib_module_names) <= {"numpy", "grpc", "tritonclient"}

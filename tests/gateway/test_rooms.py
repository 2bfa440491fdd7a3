"""Rooms of the gateway import what their `__init__` allows, and nothing else of it."""

import ast
import re
from pathlib import Path

import pytest

GATEWAY = Path(__file__).resolve().parents[2] / "gateway"
ROOMS = sorted(path.parent.name for path in GATEWAY.glob("*/__init__.py"))
MOST_ENTRIES = 14


def allowed(room: str) -> set[str]:
    """What the docstring of a room says after `May import:`."""
    said = ast.get_docstring(ast.parse((GATEWAY / room / "__init__.py").read_text("utf-8"))) or ""
    _, found, rooms = said.partition("May import: ")
    assert found, f"gateway/{room}/__init__.py does not say what it may import"
    return set(re.findall(r"`(\w+)`", rooms))


def imported(file: Path) -> set[str]:
    """Rooms of the gateway, and modules at its root, that a file imports."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        found |= {name.split(".")[1] for name in names if name.startswith("gateway.")}
    return found


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_what_it_says(room: str) -> None:
    of_all = set().union(*(imported(file) for file in (GATEWAY / room).rglob("*.py"))) - {room}
    assert of_all == allowed(room)


def test_no_circle_between_rooms() -> None:
    left = {room: allowed(room) for room in ROOMS}
    assert {"api", "errors", "http", "inference", "models", "telemetry", "triton"} <= left.keys()
    while left:
        lowest = [room for room, below in left.items() if not below & left.keys()]
        assert lowest, f"a circle among {sorted(left)}"
        for room in lowest:
            del left[room]


@pytest.mark.parametrize("folder", [GATEWAY, *(GATEWAY / room for room in ROOMS)], ids=lambda path: path.name)
def test_few_entries_in_a_folder(folder: Path) -> None:
    assert len([path for path in folder.iterdir() if path.name != "__pycache__"]) <= MOST_ENTRIES

"""For every test's process, and all that it starts."""

import os
from pathlib import Path

import pytest

# Several tests run at once, on models so small that more threads only wait for each other.
os.environ["OMP_NUM_THREADS"] = "1"
# A proxy set for the way out must not get in between: what tests ask is on this machine.
for name in ("no_proxy", "NO_PROXY"):
    os.environ[name] = ",".join(filter(None, (os.environ.get(name), "127.0.0.1,127.0.0.2,localhost")))
# What commands print is as wide as anywhere else.
os.environ.pop("COLUMNS", None)

TESTS = Path(__file__).parent
LONGEST = [
    TESTS / "server/test_damaged_versions.py",
    TESTS / "training/publish/test_publish.py",
    TESTS / "training/train/test_fine_tuning.py",
    TESTS / "integration/test_restarts.py",
]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first: where several workers share files, one of them alone would be busy at the end."""
    items.sort(key=lambda item: item.path not in LONGEST)

"""One small Triton for the tests that only ask it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.gateway.support.small_model import publish
from tests.support.triton_process import TritonProcess, running_triton


@pytest.fixture(scope="session")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One version of `emotion_rubert`."""
    path = tmp_path_factory.mktemp("bulk") / "model_repository"
    path.mkdir()
    publish(path, 1)
    return path


@pytest.fixture(scope="session")
def triton(repository: Path) -> Iterator[TritonProcess]:
    with running_triton(repository, poll_seconds=1) as running:
        yield running

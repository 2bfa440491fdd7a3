"""One Triton and one gateway for the tests that change neither."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.models import version_reader
from tests.gateway.support.gateway_process import GatewayProcess, running_gateway
from tests.gateway.support.small_model import publish
from tests.support.triton_process import TritonProcess, running_triton
from tests.support.waiting import SECONDS


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test that reads a version itself does so once; the check may take long on a busy machine."""
    monkeypatch.setattr(version_reader, "_CHECK_WAIT_SECONDS", SECONDS)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A model repository with version 1 of `emotion_rubert`."""
    path = tmp_path / "model_repository"
    path.mkdir()
    publish(path, 1)
    return path


@pytest.fixture(scope="session")
def shared_repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two versions of `emotion_rubert`, `emotion_xlm`, and a model without a valid card."""
    path = tmp_path_factory.mktemp("shared") / "model_repository"
    path.mkdir()
    publish(path, 1)
    publish(path, 2)
    publish(path, 1, "emotion_xlm")
    publish(path, 1, "emotion_cardless", card={"model": "emotion_cardless"})
    return path


@pytest.fixture(scope="session")
def shared_triton(shared_repository: Path) -> Iterator[TritonProcess]:
    with running_triton(shared_repository) as triton:
        yield triton


@pytest.fixture(scope="session")
def gateway(shared_repository: Path, shared_triton: TritonProcess) -> Iterator[GatewayProcess]:
    with running_gateway(shared_repository, shared_triton.grpc_url) as running:
        running.wait_until_ready()
        yield running

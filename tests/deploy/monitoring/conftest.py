"""Prometheus and Alertmanager for all tests, and services for each to break."""

import contextlib
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.deploy.monitoring.watch import Watch, running_watch
from tests.gateway.support.gateway_process import GatewayProcess, running_gateway
from tests.gateway.support.small_model import publish
from tests.support.triton_process import TritonProcess, running_triton

_NUMBERS = itertools.count(1)


@pytest.fixture(scope="session")
def watch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watch]:
    with running_watch(tmp_path_factory.mktemp("watch")) as running:
        yield running


@pytest.fixture
def namespace(request: pytest.FixtureRequest, watch: Watch) -> Iterator[str]:
    """Keeps what a test breaks apart from the others; nothing of it is watched afterwards."""
    name = f"{request.node.originalname.removeprefix('test_').replace('_', '-')}-{next(_NUMBERS)}"
    yield name
    watch.forget(name)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A model repository with a version of two models, for a test to break."""
    path = tmp_path / "model_repository"
    path.mkdir()
    publish(path, 1)
    publish(path, 1, "emotion_xlm")
    return path


@pytest.fixture(scope="session")
def shared_triton(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[TritonProcess, Path]]:
    """A Triton that no test breaks, and its repository."""
    path = tmp_path_factory.mktemp("shared") / "model_repository"
    path.mkdir()
    publish(path, 1)
    with running_triton(path, "--metrics") as triton:
        yield triton, path


@pytest.fixture
def triton(repository: Path, namespace: str, watch: Watch) -> Iterator[TritonProcess]:
    """One to break; a new version is taken up within a second."""
    with running_triton(repository, "--metrics", poll_seconds=1, stops_cleanly=False) as running:
        watch.scrape(namespace, triton=running.metrics_port)
        yield running


Start = Callable[..., contextlib.AbstractContextManager[GatewayProcess]]


@pytest.fixture
def start_gateway(watch: Watch, namespace: str) -> Start:
    """Starts a gateway that is ready and watched."""

    @contextlib.contextmanager
    def start(repository: Path, triton: TritonProcess, *flags: str, **variables: str) -> Iterator[GatewayProcess]:
        with running_gateway(repository, triton.grpc_url, *flags, **variables) as gateway:
            gateway.wait_until_ready()
            watch.scrape(namespace, gateway=gateway.url)
            watch.wait_until_scraped(namespace)
            yield gateway

    return start

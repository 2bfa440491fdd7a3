"""Two Tritons with a small model, counted ways to them, and an input with the answer that is right."""

import contextlib
import os
import signal
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pytest

from clients.cluster.__main__ import main
from tests.clients.cluster.counted import CountedWay, counted_way
from tests.clients.cluster.jobs import ROWS_PER_PART, whole, write_input
from tests.gateway.support.small_model import publish
from tests.support.triton_process import TritonProcess, free_ports, running_triton

# Nodes of a test's Ray cluster are on this machine alone, and nothing is to be left in the home directory.
os.environ["RAY_AUTH_MODE"] = "disabled"
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"

CALL_SECONDS = 0.3


@dataclass
class Place:
    """A Triton that can be stopped and started again at the same address."""

    repository: Path
    port: int = field(default_factory=lambda: free_ports(1)[0])
    _running: AbstractContextManager[TritonProcess] | None = None
    _process: TritonProcess | None = None

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        self._running = running_triton(self.repository, f"--grpc-port={self.port}", stops_cleanly=False)
        self._process = self._running.__enter__()

    def kill(self) -> None:
        """As a machine that fails: nothing is ended in order."""
        assert self._process is not None
        for one in [self._process.launcher.pid, self._process.triton_pid]:
            os.kill(one, signal.SIGKILL)
        self.stop()

    def stop(self) -> None:
        if self._running is not None:
            self._running.__exit__(None, None, None)
            self._running = None


@pytest.fixture(scope="session")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model repository with one version of `emotion_rubert`."""
    path = tmp_path_factory.mktemp("cluster") / "model_repository"
    path.mkdir()
    publish(path, 1)
    return path


@pytest.fixture(scope="session")
def triton(repository: Path) -> Iterator[Place]:
    place = Place(repository)
    place.start()
    yield place
    place.stop()


@pytest.fixture(scope="session")
def tritons(triton: Place, repository: Path) -> Iterator[list[Place]]:
    other = Place(repository)
    other.start()
    yield [triton, other]
    other.stop()


@pytest.fixture
def ways(tritons: list[Place]) -> Iterator[list[CountedWay]]:
    """Slow ways to both, so that there is a middle of a job."""
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(counted_way(place.address, CALL_SECONDS)) for place in tritons]


@pytest.fixture
def flags(ways: list[CountedWay], repository: Path) -> list[str]:
    """What every command is told."""
    return [f"--triton={','.join(way.address for way in ways)}", f"--repository={repository}"]


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("input") / "reviews.csv"
    write_input(path, 40 * ROWS_PER_PART - 17)
    return path


@pytest.fixture(scope="session")
def expected(source: Path, triton: Place, repository: Path, tmp_path_factory: pytest.TempPathFactory) -> pa.Table:
    """What all ways onto a cluster must give, from the one without an engine."""
    return scored_by_one_shard(source, triton.address, repository, tmp_path_factory.mktemp("expected"))


def scored_by_one_shard(source: Path, address: str, repository: Path, output: Path) -> pa.Table:
    rows = f"--rows-per-part={ROWS_PER_PART}"
    told = [f"--triton={address}", f"--repository={repository}", "--shards=1", "--shard=0", rows]
    assert main([str(source), str(output), *told]) == 0
    return whole(output)

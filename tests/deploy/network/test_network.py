"""Updates, silence and slowness under load: what docs/running/upgrades.md promises.

Every request is sent once. None may fail but those that the page names.
"""

import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.deploy.network.cluster import GATEWAYS, MODEL, TRITONS, Cluster, Outcome, running_cluster, running_load
from tests.deploy.network.namespaces import why_not
from tests.support.waiting import wait_until

pytestmark = pytest.mark.network

BEFORE_SECONDS, AFTER_SECONDS = 5.0, 8.0
SLOW_SECONDS = 1.0
"""After which a gateway asks another Triton what one has not answered."""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    if reason := why_not():
        pytest.skip(reason)
    with running_cluster(tmp_path_factory.mktemp("cluster")) as running:
        yield running


@dataclass
class Phases:
    before: Outcome
    during: Outcome
    after: Outcome


@pytest.fixture
def drill(cluster: Cluster, tmp_path: Path, request: pytest.FixtureRequest) -> Callable[[Callable[[], None]], Phases]:
    """Runs something under load, and says what it did to the requests."""

    def run(act: Callable[[], None]) -> Phases:
        with running_load(cluster, tmp_path) as load:
            time.sleep(1.0)
            start = time.monotonic()
            time.sleep(BEFORE_SECONDS)
            began = time.monotonic()
            act()
            ended = time.monotonic()
            time.sleep(AFTER_SECONDS)
            end = time.monotonic()
        phases = Phases(load.between(start, began), load.between(began, ended), load.between(ended, end))
        print(f"\n{request.node.name} ({ended - began:.0f} s)")
        for name in ("before", "during", "after"):
            print(f"  {name:6}: {getattr(phases, name)}")
        return phases

    return run


Drill = Callable[[Callable[[], None]], Phases]


def none_failed(*outcomes: Outcome) -> None:
    assert not any(outcome.failures for outcome in outcomes), outcomes


def test_the_tritons_are_restarted_one_after_the_other(cluster: Cluster, drill: Drill) -> None:
    def act() -> None:
        for name in TRITONS:
            cluster.stop(name)
            cluster.start(name)
            time.sleep(2)  # until both gateways have seen it

    phases = drill(act)
    none_failed(phases.before, phases.during, phases.after)


def test_a_triton_dies(cluster: Cluster, drill: Drill) -> None:
    """With calls in its hands, which are made again at the other."""

    def act() -> None:
        cluster.tritonserver(TRITONS[0]).kill()
        cluster.wait_for_the_end(TRITONS[0])
        cluster.start(TRITONS[0])
        time.sleep(2)

    phases = drill(act)
    none_failed(phases.before, phases.during, phases.after)


def test_the_gateways_are_restarted_one_after_the_other(cluster: Cluster, drill: Drill) -> None:
    def act() -> None:
        for name in GATEWAYS:
            cluster.stop(name)
            cluster.start(name)
            time.sleep(2)  # until the balancer has seen it

    phases = drill(act)
    none_failed(phases.before, phases.during, phases.after)


def test_a_new_version_is_published(cluster: Cluster, drill: Drill) -> None:
    model = cluster.repository / MODEL
    newest = max((path for path in model.iterdir() if path.name.isdigit()), key=lambda path: int(path.name))
    new = str(int(newest.name) + 1)

    def act() -> None:
        staging = cluster.repository.parent / "staging"
        shutil.copytree(newest, staging)
        staging.rename(model / new)
        (cluster.repository / f"{MODEL}_text" / new).symlink_to(Path("..", MODEL, new))
        for name in GATEWAYS:
            wait_until(lambda: f"version {new} found" in cluster.log(name), lambda: cluster.log(name))  # noqa: B023
        time.sleep(5)

    phases = drill(act)
    none_failed(phases.before, phases.during, phases.after)


@pytest.mark.parametrize("seconds", [10, 45])
def test_a_triton_falls_silent(cluster: Cluster, drill: Drill, seconds: int) -> None:
    """What is sent to it is lost without a word; the second time for longer than its connections live."""
    node = cluster.nodes[TRITONS[0]]

    def act() -> None:
        node.unplug()
        try:
            time.sleep(seconds)
        finally:
            node.plug_in()
        time.sleep(3)

    phases = drill(act)
    none_failed(phases.before, phases.during, phases.after)
    assert phases.during.slowest < 1e3 * (SLOW_SECONDS + 1.5)
    assert cluster.tritonserver(TRITONS[0]).is_running()


def test_a_triton_stands_still(cluster: Cluster, drill: Drill) -> None:
    server = cluster.tritonserver(TRITONS[1])

    def act() -> None:
        server.suspend()
        try:
            time.sleep(10)
        finally:
            server.resume()
        time.sleep(2)

    phases = drill(act)
    none_failed(phases.before, phases.during, phases.after)
    assert phases.during.slowest < 1e3 * (SLOW_SECONDS + 1.5)


def test_a_triton_is_slow_to_reach(cluster: Cluster, drill: Drill) -> None:
    """A narrow cable: calls wait in a queue, and some packets are lost."""
    node = cluster.nodes[TRITONS[0]]

    def act() -> None:
        node.narrow(kilobits=48)
        try:
            time.sleep(15)
        finally:
            node.widen()
        time.sleep(2)

    phases = drill(act)
    none_failed(phases.before, phases.during, phases.after)
    assert phases.during.slowest < 1e3 * (SLOW_SECONDS + 1.5)


def test_a_triton_limps(cluster: Cluster, drill: Drill) -> None:
    """It has a fifth of the time."""
    server = cluster.tritonserver(TRITONS[1])

    def act() -> None:
        until = time.monotonic() + 12
        while time.monotonic() < until:
            server.suspend()
            try:
                time.sleep(0.4)
            finally:
                server.resume()
            time.sleep(0.1)

    phases = drill(act)
    none_failed(phases.before, phases.during, phases.after)


def test_a_gateway_falls_silent(cluster: Cluster, drill: Drill) -> None:
    """Named: what was sent to it before the balancer knew; a balancer that asks again would lose nothing."""
    node = cluster.nodes[GATEWAYS[0]]

    def act() -> None:
        node.unplug()
        try:
            time.sleep(8)
        finally:
            node.plug_in()
        time.sleep(3)

    phases = drill(act)
    none_failed(phases.before, phases.after)
    assert set(phases.during.failures) <= {"ReadTimeout", "ConnectTimeout", "ReadError"}
    assert phases.during.failures.total() <= 60, "at most what goes there in two looks"

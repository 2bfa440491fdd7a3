"""A real Ray with two nodes on this machine: one is killed, the job is killed, and nothing is lost or done twice."""

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pyarrow as pa
import pytest

from clients.cluster.pinned import pin
from clients.cluster.rows import ANSWER
from tests.clients.cluster.conftest import Place
from tests.clients.cluster.counted import CountedWay
from tests.clients.cluster.jobs import command, parts, start, whole
from tests.support.triton_process import ROOT
from tests.support.waiting import wait_until

pytestmark = pytest.mark.cluster

MEMORY = 100 << 20
WORKERS, CALLS = 2, 4


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Two nodes, each with room for one worker."""
    from ray.cluster_utils import Cluster

    # Not pytest's own: the names of sockets below it would be too long.
    directory = tempfile.mkdtemp(prefix="ray-")
    monkeypatch.setenv("RAY_TMPDIR", directory)
    node = {"num_cpus": 1, "object_store_memory": MEMORY, "include_dashboard": False}
    running = Cluster(initialize_head=True, head_node_args=node)
    try:
        running.add_node(num_cpus=1, object_store_memory=MEMORY)
        yield running
    finally:
        running.shutdown()
        shutil.rmtree(directory, ignore_errors=True)


def arguments(cluster: Any, source: Path, output: Path, flags: list[str]) -> list[str]:
    return command(
        "ray", source, output, *flags, f"--address={cluster.address}", f"--workers={WORKERS}", f"--calls={CALLS}"
    )


def workers(node: Any) -> list[psutil.Process]:
    """Actors that score on a node."""
    raylet = node.all_processes["raylet"][0].process.pid
    children = psutil.Process(raylet).children(recursive=True)
    return [child for child in children if "PieceScorer" in " ".join(child.cmdline())]


def test_a_node_that_is_killed_loses_nothing(
    cluster: Any, source: Path, expected: pa.Table, ways: list[CountedWay], flags: list[str], tmp_path: Path
) -> None:
    output, log = tmp_path / "scored", tmp_path / "log"
    job = start(arguments(cluster, source, output, flags), log)
    other = next(iter(cluster.worker_nodes))
    wait_until(lambda: len(parts(output)) > 4 and workers(other), log.read_text)
    cluster.remove_node(other, allow_graceful=False)
    before = parts(output)
    assert job.wait(300) == 0, log.read_text()
    assert 4 < len(before) < len(parts(output)), "it was not killed in the middle"
    assert before.items() <= parts(output).items()
    assert whole(output).equals(expected)
    assert not [path.name for path in output.iterdir() if path.name not in {*parts(output), "_job.json", "_SUCCESS"}]
    for way in ways:
        assert way.calls
        assert way.most <= CALLS


def test_a_job_that_is_killed_goes_on(
    cluster: Any, source: Path, expected: pa.Table, flags: list[str], tmp_path: Path
) -> None:
    output, log = tmp_path / "scored", tmp_path / "log"
    job = start(arguments(cluster, source, output, flags), log)
    wait_until(lambda: len(parts(output)) > 4, log.read_text)
    os.killpg(job.pid, signal.SIGKILL)
    job.wait()
    before = parts(output)
    assert len(before) < len(expected) // 64
    again = subprocess.run(
        arguments(cluster, source, output, flags), cwd=ROOT, capture_output=True, text=True, timeout=300, check=False
    )
    assert again.returncode == 0, again.stderr
    assert before.items() <= parts(output).items()
    assert whole(output).equals(expected)
    errors = len(expected) - expected["error"].null_count
    assert f"{len(expected):,} rows, {errors} of them with an error" in again.stderr


def test_a_job_that_no_triton_answers_says_so(
    cluster: Any, source: Path, ways: list[CountedWay], flags: list[str], tmp_path: Path
) -> None:
    output, log = tmp_path / "scored", tmp_path / "log"
    job = start([*arguments(cluster, source, output, flags), "--patience=2"], log)
    wait_until(lambda: len(parts(output)) > 4, log.read_text)
    for way in ways:
        way.stop()
    assert job.wait(300) == 3, log.read_text()
    # Among lines that workers have printed, and that the engine hands on when it likes.
    (said,) = [line for line in log.read_text().splitlines() if line.startswith("error: ")]
    assert said.startswith("error: a worker failed: no Triton answered within 2 s")
    assert said.endswith("the same command goes on")


def test_a_step_of_ones_own_pipeline(cluster: Any, tritons: list[Place], ways: list[CountedWay]) -> None:
    import ray

    from clients.ray.dataset import emotions

    triton = ",".join(way.address for way in ways)
    pinned = pin(triton, tritons[0].repository, workers=2, calls=2)
    ray.init(address=cluster.address, log_to_driver=False)
    try:
        rows = [{"key": number, "said": None if number % 9 == 0 else "рад" * (number % 2)} for number in range(900)]
        dataset = emotions(ray.data.from_items(rows), pinned, text="said", workers=2)
        scored = {row["key"]: row for row in dataset.take_all()}
    finally:
        ray.shutdown()
    assert sorted(scored) == [*range(900)]
    assert set(scored[0]) == {"key", "said", *ANSWER.names}
    for key, row in scored.items():
        right = "no text" if key % 9 == 0 else None if key % 2 else "empty"
        assert row["error"] == right
        assert (row["emotion"] == "joy") == (right is None)
    assert max(way.most for way in ways) <= 2

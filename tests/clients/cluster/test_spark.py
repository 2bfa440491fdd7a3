"""A real Spark on this machine: a task's process is killed, a Triton dies and comes back, and nothing is lost."""

import os
import signal
import subprocess
import sys
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

# Two tasks at once, and four tries of each.
MASTER = "--master=local[2,4]"
CALLS = 4


@pytest.fixture(autouse=True)
def small_and_local(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spark as a whole on this machine, and without its page."""
    options = "--driver-memory 1g --conf spark.ui.enabled=false --conf spark.driver.bindAddress=127.0.0.1"
    monkeypatch.setenv("PYSPARK_SUBMIT_ARGS", f"{options} pyspark-shell")
    monkeypatch.setenv("SPARK_LOCAL_IP", "127.0.0.1")
    monkeypatch.setenv("PYSPARK_PYTHON", sys.executable)


def arguments(source: Path, output: Path, flags: list[str]) -> list[str]:
    return command("spark", source, output, *flags, MASTER, "--workers=2", f"--calls={CALLS}")


def task_processes(job: subprocess.Popen[bytes]) -> list[psutil.Process]:
    """Python processes that tasks run in: children of Spark's daemon."""
    found = psutil.Process(job.pid).children(recursive=True)
    alive = {one.pid: one for one in found if one.status() != psutil.STATUS_ZOMBIE}
    daemons = {pid for pid, one in alive.items() if "pyspark.daemon" in one.cmdline()}
    return [one for pid, one in alive.items() if one.ppid() in daemons]


def test_a_task_that_is_killed_is_done_again(
    source: Path, expected: pa.Table, ways: list[CountedWay], flags: list[str], tmp_path: Path
) -> None:
    output, log = tmp_path / "scored", tmp_path / "log"
    job = start(arguments(source, output, flags), log)
    wait_until(lambda: len(parts(output)) > 4, log.read_text)
    before = parts(output)
    task_processes(job)[0].kill()
    assert job.wait(300) == 0, log.read_text()
    assert "Lost task" in log.read_text()
    assert len(before) < len(parts(output)), "it was not killed in the middle"
    assert before.items() <= parts(output).items()
    assert whole(output).equals(expected)
    for way in ways:
        assert way.calls
        assert way.most <= CALLS


def test_a_job_that_is_killed_goes_on_though_a_triton_dies_and_comes_back(
    source: Path, expected: pa.Table, tritons: list[Place], ways: list[CountedWay], flags: list[str], tmp_path: Path
) -> None:
    output, log = tmp_path / "scored", tmp_path / "log"
    job = start(arguments(source, output, flags), log)
    wait_until(lambda: len(parts(output)) > 4, log.read_text)
    os.killpg(job.pid, signal.SIGKILL)
    job.wait()
    before = parts(output)
    tritons[1].kill()
    again = start(arguments(source, output, flags), log)
    wait_until(lambda: len(parts(output)) > len(before) + 4, log.read_text)
    answered = ways[1].answered
    ways[0].refuses = True
    tritons[1].start()
    wait_until(lambda: ways[1].answered > answered, log.read_text)
    ways[0].refuses = False
    assert again.wait(300) == 0, log.read_text()
    assert before.items() <= parts(output).items()
    assert whole(output).equals(expected)
    assert max(way.most for way in ways) <= CALLS


def test_a_job_that_no_triton_answers_says_so(
    source: Path, ways: list[CountedWay], flags: list[str], tmp_path: Path
) -> None:
    output, log = tmp_path / "scored", tmp_path / "log"
    job = start([*arguments(source, output, flags), "--patience=2"], log)
    wait_until(lambda: len(parts(output)) > 4, log.read_text)
    for way in ways:
        way.stop()
    assert job.wait(300) == 3, log.read_text()
    # Among lines that workers have printed, and that the engine hands on when it likes.
    (said,) = [line for line in log.read_text().splitlines() if line.startswith("error: ")]
    assert said.startswith("error: a worker failed: no Triton answered within 2 s")
    assert said.endswith("the same command goes on")


def test_a_step_of_ones_own_pipeline(tritons: list[Place], ways: list[CountedWay], tmp_path: Path) -> None:
    from pyspark.sql import SparkSession

    from clients.spark.dataframe import emotions

    pinned = pin(",".join(way.address for way in ways), tritons[0].repository, workers=2, calls=2)
    failed = tmp_path / "failed"

    def fails_once(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            if not failed.exists() and 500 in batch["key"].to_pylist():
                failed.touch()
                raise OSError("as a disk does now and then")
            yield batch

    rows = [(number, None if number % 9 == 0 else "рад" * (number % 2)) for number in range(900)]
    spark: Any = SparkSession.builder.master("local[2,4]").getOrCreate()
    try:
        frame = spark.createDataFrame(rows, "key long, said string").repartition(5)
        scored = emotions(frame.mapInArrow(fails_once, frame.schema), pinned, text="said", workers=2)
        assert scored.columns == ["key", "said", *ANSWER.names]
        found = {row["key"]: row for row in scored.collect()}
    finally:
        spark.stop()
    assert failed.exists()
    assert sorted(found) == [*range(900)]
    for key, row in found.items():
        right = "no text" if key % 9 == 0 else None if key % 2 else "empty"
        assert row["error"] == right
        assert (row["emotion"] == "joy") == (right is None)
    assert max(way.most for way in ways) <= 2


def test_spark_submit_takes_the_command(source: Path, expected: pa.Table, flags: list[str], tmp_path: Path) -> None:
    submit = str(Path(sys.executable).with_name("spark-submit"))
    file = str(ROOT / "clients/spark/__main__.py")
    given = command("spark", source, tmp_path / "scored", *flags, "--workers=2")[3:]
    job = subprocess.run(
        [submit, MASTER, "--driver-memory=1g", file, *given],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert job.returncode == 0, job.stderr
    assert whole(tmp_path / "scored").equals(expected)

"""Two Tritons and two gateways, each on a node of its own, and the load on a fifth."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from tests.deploy.network.namespaces import Node, network
from tests.support.triton_process import ROOT, triton_environment
from tests.support.waiting import SECONDS, wait_until

MODEL = "emotion_rubert"
RATE = 40.0
"""Requests a second: far less than two cores answer, so that what is late is late for what the drill does."""
DRAIN = 3
TRITONS = ("triton-1", "triton-2")
GATEWAYS = ("gateway-1", "gateway-2")
_MOST_SECONDS = 240
"""For which the load goes on, whatever becomes of the test."""


@dataclass
class Outcome:
    """What became of the requests of one stretch of time."""

    requests: int
    failures: Counter[str]
    median: float
    p99: float
    slowest: float
    """Of those that were answered, in milliseconds."""

    def __str__(self) -> str:
        failed = dict(self.failures) or "none failed"
        figures = f"median {self.median:.0f} ms, p99 {self.p99:.0f} ms, slowest {self.slowest:.0f} ms"
        return f"{self.requests} requests, {failed}; {figures}"


class Cluster:
    """The programs on their nodes."""

    def __init__(self, nodes: dict[str, Node], repository: Path, logs: Path) -> None:
        self.nodes = nodes
        self.repository = repository
        self._logs = logs
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._starts: Counter[str] = Counter()

    def start(self, name: str) -> None:
        """Start what belongs on a node, and wait until it is ready."""
        self._starts[name] += 1
        log, before = self.log_path(name), len(self.log(name))
        node = self.nodes[name]
        python = Path(sys.executable)
        if name in TRITONS:
            arguments: list[object] = [
                *(python, "-m", "server", "run", f"--model-repository={self.repository}"),
                *(f"--environment={triton_environment()}", f"--host={node.address}", "--poll-seconds=1"),
            ]
            ready = "tritonserver is ready"
        else:
            tritons = ",".join(f"{self.nodes[triton].address}:8001" for triton in TRITONS)
            arguments = [
                *(python, "-m", "gateway", f"--host={node.address}", f"--model-repository={self.repository}"),
                # Few texts are asked again and again, and it is the Tritons that are to answer.
                *(f"--triton-address={tritons}", f"--drain={DRAIN}", "--answer-cache=0"),
            ]
            ready = "is ready"
        self._running[name] = process = node.start(arguments, log)

        def is_ready() -> bool:
            assert process.poll() is None, f"{name} ended:\n{self.log(name)[-3000:]}"
            return ready in self.log(name)[before:]

        wait_until(is_ready, lambda: self.log(name)[-3000:])

    def stop(self, name: str) -> None:
        """As a supervisor does: SIGTERM, and wait."""
        self.program(name).send_signal(signal.SIGTERM)
        self.wait_for_the_end(name)

    def wait_for_the_end(self, name: str) -> None:
        self._running[name].wait(SECONDS)

    def program(self, name: str) -> psutil.Process:
        """What was started on a node: `ip netns exec` becomes it."""
        return psutil.Process(self._running[name].pid)

    def tritonserver(self, name: str) -> psutil.Process:
        """The tritonserver below its launcher."""
        return next(child for child in self.program(name).children() if "tritonserver" in child.name())

    def log_path(self, name: str) -> Path:
        return self._logs / f"{name}.log"

    def log(self, name: str) -> str:
        path = self.log_path(name)
        return path.read_text(errors="replace") if path.exists() else ""

    def url(self, name: str) -> str:
        return f"http://{self.nodes[name].address}:8080"


@contextlib.contextmanager
def running_cluster(directory: Path) -> Iterator[Cluster]:
    """Everything ready; afterwards nothing of it."""
    repository = directory / "model_repository"
    for name in (MODEL, f"{MODEL}_text"):
        shutil.copytree(ROOT / "model_repository" / name, repository / name, symlinks=True)
    with network(*TRITONS, *GATEWAYS, "clients") as nodes:
        cluster = Cluster(nodes, repository, directory)
        for name in (*TRITONS, *GATEWAYS):
            cluster.start(name)
        yield cluster
        for name in (*GATEWAYS, *TRITONS):
            if cluster.program(name).is_running():
                cluster.stop(name)


class Load:
    """The requests so far."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def _requests(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._path.read_text().splitlines() if line.endswith("}")]

    def between(self, since: float, until: float) -> Outcome:
        """Of those sent in that time, on CLOCK_MONOTONIC; once all are answered."""
        sent = [row for row in self._requests() if since <= row["at"] < until]
        answered = sorted(row["seconds"] * 1e3 for row in sent if row["outcome"] == "200")
        failures = Counter(row["outcome"] for row in sent if row["outcome"] != "200")
        assert answered, f"nothing was answered: {failures}"
        last = len(answered) - 1
        return Outcome(len(sent), failures, answered[last // 2], answered[int(last * 0.99)], answered[last])


@contextlib.contextmanager
def running_load(cluster: Cluster, directory: Path) -> Iterator[Load]:
    """Requests from the clients' node; when the context ends, all have been answered."""
    path = directory / f"load-{time.monotonic_ns()}.jsonl"
    urls = [cluster.url(name) for name in GATEWAYS]
    command = [
        *(sys.executable, "-m", "tests.deploy.network.load", f"--rate={RATE}", f"--seconds={_MOST_SECONDS}"),
        *urls,
    ]
    with path.open("wb") as output:
        process = subprocess.Popen(
            cluster.nodes["clients"].command(*command),
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=output,
            env={**os.environ},
        )
    cluster.nodes["clients"].processes.append(process)
    try:
        wait_until(lambda: path.stat().st_size > 0)
        yield Load(path)
    finally:
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(SECONDS) == 0

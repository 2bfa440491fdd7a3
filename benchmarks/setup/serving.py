"""Servers that a benchmark starts, waits for, and stops: Triton by this project's launcher, or any program."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final, Literal

from benchmarks.command import ROOT, BenchmarkError
from server.launching.readiness import http_get, is_ready
from server.processes.child import Child

Device = Literal["cpu", "gpu"]
HOST: Final = "127.0.0.1"
_START_SECONDS: Final = 120.0
_STOP_SECONDS: Final = 30.0


@dataclass(frozen=True)
class Server:
    """A program that runs: its process (all its children belong to it) and where it listens."""

    pid: int
    url: str
    """`host:port`; Triton's is the gRPC one."""


def free_ports(count: int) -> list[int]:
    """Ports nobody listens on now."""
    with contextlib.ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind((HOST, 0))
        return [int(probe.getsockname()[1]) for probe in probes]


@contextlib.contextmanager
def running(
    name: str,
    command: list[str],
    url: str,
    ready: Callable[[], bool],
    variables: dict[str, str] | None = None,
    directory: Path = ROOT,
) -> Iterator[Server]:
    """Start a program in a directory, wait until `ready`, and stop it and all its children afterwards.

    They are told to stop if this process is killed, too.

    Args:
        name: what it is called in an error.
        command: a program's path and its arguments.
        url: `host:port` where it listens.
        ready: asks whether it serves.
        variables: environment variables that it gets beside this process's.
        directory: where it starts.

    Raises:
        BenchmarkError: it ends before it is ready, or isn't in time; says its last words.
    """
    with tempfile.TemporaryFile() as log:
        # SIGTERM, so that Triton's launcher can stop its own child.
        process = Child(command, {**os.environ, **(variables or {})}, log.fileno(), signal.SIGTERM, directory)
        try:
            deadline = time.monotonic() + _START_SECONDS
            while not ready():
                if process.poll() is not None or time.monotonic() > deadline:
                    raise BenchmarkError(f"{name} did not start")
                time.sleep(0.1)
            yield Server(process.pid, url)
        except BenchmarkError as error:
            raise BenchmarkError(f"{error}; the last words of {name}: {_last_words(log)}") from None
        finally:
            _stop(process)


def _last_words(log: BinaryIO) -> str:
    log.seek(0)
    return log.read().decode(errors="replace").strip()[-1000:] or "none"


def _stop(process: Child) -> None:
    try:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):  # killed next, like what it has left behind
            process.wait(_STOP_SECONDS)
    finally:
        process.end()


@contextlib.contextmanager
def running_triton(repository: Path, environment: Path, device: Device = "cpu") -> Iterator[Server]:
    """This project's own `python -m server run`, on free ports.

    Raises:
        BenchmarkError: it did not start.
    """
    (grpc,) = free_ports(1)
    command = [
        *(sys.executable, "-m", "server", "run", f"--device={device}", f"--model-repository={repository}"),
        *(f"--environment={environment}", f"--grpc-port={grpc}"),
    ]
    with running("Triton", command, f"{HOST}:{grpc}", lambda: is_ready(HOST, grpc)) as server:
        yield server


def answers(port: int, path: str) -> Callable[[], bool]:
    """Whether `GET path` is answered with 200, as a question to ask again."""
    return lambda: http_get(HOST, port, path) is not None

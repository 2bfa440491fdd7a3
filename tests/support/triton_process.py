"""The real tritonserver for tests of every room: started, watched and cleared away.

Needs Triton's environment at `.venv-triton`, or wherever EMOTION_TRITON_ENVIRONMENT says.
"""

import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from tests.support.waiting import SECONDS, wait_until

ROOT = Path(__file__).resolve().parents[2]
SHARED_MEMORY = Path("/dev/shm")  # noqa: S108


def triton_environment() -> Path:
    """Triton's environment; fails the test, never skips it, if there is none."""
    directory = Path(os.environ.get("EMOTION_TRITON_ENVIRONMENT", ROOT / ".venv-triton"))
    if not (directory / "bin/python").exists():
        pytest.fail(f"Triton's environment {directory} is not there: run `make test`")
    return directory


def hear_ctrl_c() -> None:
    """For `preexec_fn`: a shell's background job hands on an ignored SIGINT, and nohup SIGHUP: they stay ignored."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


_PORTS = range(20000, 32000)
"""Outside the range that outgoing connections take theirs from."""


def share_of_ports(worker: int, workers: int) -> Iterator[int]:
    """For one worker of pytest-xdist: the others take from shares of their own, since a server listens seconds later.

    Each port comes once, then all again. They begin anywhere, for another run of the tests at the same time.
    """
    own = _PORTS[worker::workers]
    start = random.SystemRandom().randrange(len(own))
    while True:
        yield from (*own[start:], *own[:start])


_OURS = share_of_ports(
    int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")),
    int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")),
)


def free_ports(count: int) -> list[int]:
    """Ports nobody listens on, and that nobody else among the tests is about to listen on."""
    ports: list[int] = []
    while len(ports) < count:
        port = next(_OURS)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            ports.append(port)
    return ports


def is_listening(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


@dataclass
class TritonProcess:
    """A running `python -m server run`."""

    launcher: subprocess.Popen[bytes]
    http_port: int
    grpc_port: int
    metrics_port: int
    log_path: Path
    """Standard output and standard error of the launcher, Triton's log among them."""
    backend_directory: Path = Path("unknown until ready")

    @property
    def http_url(self) -> str:
        return f"127.0.0.1:{self.http_port}"

    @property
    def grpc_url(self) -> str:
        return f"127.0.0.1:{self.grpc_port}"

    @property
    def triton_pid(self) -> int:
        """The tritonserver process."""
        for child in psutil.Process(self.launcher.pid).children():
            if "tritonserver" in child.name():
                return int(child.pid)
        raise LookupError("the launcher has no tritonserver")

    @property
    def stub_pids(self) -> list[int]:
        """The Python backend's processes, one for each model instance."""
        return [child.pid for child in psutil.Process(self.triton_pid).children(recursive=True)]

    def log(self) -> str:
        return self.log_path.read_text(errors="replace")

    def wait_for(self, text: str) -> None:
        """Wait until the log has a text."""
        wait_until(lambda: text in self.log(), lambda: f"{text!r} in:\n{self.log()}")

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Ask it to stop as a user would; gives the exit status."""
        self.launcher.send_signal(number)
        return self.launcher.wait(SECONDS)


def start_triton(repository: Path, *options: str, device: str = "cpu", poll_seconds: int = 0) -> TritonProcess:
    """Start the launcher and don't wait for anything; see `running_triton`. HTTP and metrics are as closed as usual."""
    http, grpc, metrics = free_ports(3)
    descriptor, log_path = tempfile.mkstemp(prefix="test-triton-", suffix=".log")
    command = [
        *(sys.executable, "-m", "server", "run"),
        f"--model-repository={repository}",
        f"--environment={triton_environment()}",
        f"--device={device}",
        f"--poll-seconds={poll_seconds}",
        f"--http-port={http}",
        f"--grpc-port={grpc}",
        f"--metrics-port={metrics}",
        *options,
    ]
    with os.fdopen(descriptor, "wb") as log:
        launcher = subprocess.Popen(
            command, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT, preexec_fn=hear_ctrl_c
        )  # fmt: skip
    return TritonProcess(launcher, http, grpc, metrics, Path(log_path))


@contextlib.contextmanager
def running_triton(
    repository: Path,
    *options: str,
    device: str = "cpu",
    poll_seconds: int = 0,
    stops_cleanly: bool = True,
) -> Iterator[TritonProcess]:
    """A ready tritonserver on free ports, and afterwards nothing left of it.

    Args:
        repository: the model repository.
        options: further flags of `python -m server run`.
        device: `cpu` or `gpu`.
        poll_seconds: see `--poll-seconds`.
        stops_cleanly: that it stops with status 0 if the test has not stopped it itself;
            False where the test leaves requests that tritonserver never answers.
    """
    triton = start_triton(repository, *options, device=device, poll_seconds=poll_seconds)
    family: list[psutil.Process] = []
    try:

        def ready() -> bool:
            assert triton.launcher.poll() is None, f"did not start:\n{triton.log()}"
            return "tritonserver is ready" in triton.log()

        wait_until(ready, triton.log)
        family = psutil.Process(triton.launcher.pid).children(recursive=True)
        for argument in psutil.Process(triton.triton_pid).cmdline():
            if argument.startswith("--backend-directory="):
                triton.backend_directory = Path(argument.partition("=")[2])
        yield triton
        if triton.launcher.poll() is None:
            family = psutil.Process(triton.launcher.pid).children(recursive=True) or family
            status = triton.stop()
            assert status == 0 or not stops_cleanly, f"stopped with {status}:\n{triton.log()}"
        assert_nothing_left(triton, family)
    finally:
        if triton.launcher.poll() is None:
            triton.launcher.kill()
            triton.launcher.wait()
        for process in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        triton.log_path.unlink(missing_ok=True)


def assert_nothing_left(triton: TritonProcess, family: list[psutil.Process]) -> None:
    """No process, no port, no shared memory and no backend directory of a run remains."""
    _, alive = psutil.wait_procs(family, timeout=SECONDS)
    assert not alive, f"still running: {alive}"
    listening = (triton.http_port, triton.grpc_port, triton.metrics_port)
    assert not [port for port in listening if is_listening(port)]
    if triton.launcher.returncode != -signal.SIGKILL:
        assert not triton.backend_directory.exists()
        assert not list(SHARED_MEMORY.glob(f"{triton.backend_directory.name}*"))

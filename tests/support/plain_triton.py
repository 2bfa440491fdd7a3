"""The real tritonserver without our launcher, as NVIDIA's image runs it, for tests of what Triton does by itself."""

import contextlib
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest
from tritonclient.grpc import service_pb2, service_pb2_grpc

from server.arguments import command_line_parser, server_options
from server.environment.triton_environment import read_environment
from server.launching.backend_directory import backend_directory, shared_memory_prefix
from server.launching.tritonserver import variables
from tests.support.triton_process import free_ports, triton_environment
from tests.support.waiting import SECONDS, wait_until

STARTS = 4


@dataclass
class PlainTriton:
    """A running tritonserver."""

    process: subprocess.Popen[bytes]
    http_port: int
    grpc_port: int
    metrics_port: int
    log_path: Path

    @property
    def url(self) -> str:
        return f"127.0.0.1:{self.grpc_port}"

    def log(self) -> str:
        return self.log_path.read_text(errors="replace")

    def index(self) -> dict[tuple[str, str], str]:
        """State by model and version."""
        assert self.process.poll() is None, f"ended with {self.process.returncode}:\n{self.log()[-3000:]}"
        with grpc.insecure_channel(self.url) as channel:
            stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
            answer = stub.RepositoryIndex(service_pb2.RepositoryIndexRequest(), timeout=10)
        return {(row.name, row.version): row.state for row in answer.models}

    def ready(self) -> set[tuple[str, str]]:
        """The models and versions that answer."""
        return {version for version, state in self.index().items() if state == "READY"}

    def wait_for(self, condition: Callable[[], bool]) -> None:
        """Wait until something holds."""
        wait_until(condition, lambda: f"{self.index()}\n{self.log()[-3000:]}")


@contextlib.contextmanager
def plain_triton(repository: Path | str, *flags: str, poll_seconds: int = 1) -> Iterator[PlainTriton]:
    """A tritonserver on free ports that answers over gRPC, and afterwards nothing left of it.

    Args:
        repository: the model repository: a directory, or the address of a bucket.
        flags: further flags; the last of a name counts.
        poll_seconds: between two looks at the repository; 0: only at the start.
    """
    http, grpc_port, metrics = free_ports(3)
    environment = read_environment(triton_environment())
    arguments = ["run", f"--model-repository={repository}", "--device=cpu"]
    options = server_options(command_line_parser().parse_args(arguments))
    own = {
        "--model-config-name": "cpu",
        "--model-control-mode": "poll" if poll_seconds else "none",
        "--repository-poll-secs": str(poll_seconds or 1),
        **dict(flag.split("=", 1) for flag in flags),
        "--model-repository": str(repository),
        "--grpc-address": "127.0.0.1",
        "--metrics-address": "127.0.0.1",
        "--http-port": str(http),
        "--grpc-port": str(grpc_port),
        "--metrics-port": str(metrics),
    }
    log_path = Path(tempfile.mkstemp(prefix="test-plain-triton-", suffix=".log")[1])
    with backend_directory(environment) as backends, log_path.open("wb") as log:
        command = [
            str(environment.tritonserver),
            f"--backend-directory={backends}",
            # So that what a killed one leaves in shared memory goes with its backends.
            f"--backend-config=python,shm-region-prefix-name={shared_memory_prefix(backends)}",
            *(f"{flag}={value}" for flag, value in own.items()),
        ]
        # The one from PyPI sometimes dies (SIGSEGV) of loading a damaged version beside a whole one.
        for _ in range(STARTS):
            process = subprocess.Popen(
                command,
                env=variables(options, environment),
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            if _answers(process, f"127.0.0.1:{grpc_port}"):
                break
            _kill_group(process)
        triton = PlainTriton(process, http, grpc_port, metrics, log_path)
        try:
            if process.poll() is not None:
                pytest.fail(f"tritonserver did not start {STARTS} times:\n{triton.log()[-3000:]}")
            yield triton
        finally:
            _kill_group(process)
            log_path.unlink()


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)  # stubs that wait for it, too
    process.wait()


def _answers(process: subprocess.Popen[bytes], url: str) -> bool:
    """Wait until it answers; False if it ended before."""
    deadline = time.monotonic() + SECONDS
    with grpc.insecure_channel(url) as channel:
        stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
        while process.poll() is None and time.monotonic() < deadline:
            try:
                stub.RepositoryIndex(service_pb2.RepositoryIndexRequest(), timeout=10)
            except grpc.RpcError:
                time.sleep(0.2)
            else:
                return True
    return False

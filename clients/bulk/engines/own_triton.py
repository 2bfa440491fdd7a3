"""A Triton of one's own, for as long as a job takes: `python -m server run` in a process of its own."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import IO, Final

from clients.bulk.errors import BulkError

_ROOT: Final = Path(__file__).parents[3]
_PARENT_DEATH: Final = _ROOT / "server/processes/parent_death.py"
_READY: Final = "tritonserver is ready"
_STOP_SECONDS: Final = 30.0


class OwnTriton:
    """Started at once, and again when it has ended; stops with this process, even if that is killed."""

    def __init__(self, repository: Path, environment: Path) -> None:
        """Start it and wait until it is ready.

        Args:
            repository: what it serves.
            environment: Triton's, as `python -m server install` makes it.

        Raises:
            BulkError: it does not start; says why.
        """
        self._repository = repository.absolute()
        self._environment = environment.absolute()
        self._port = _free_port()
        self._lock = threading.Lock()
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - closed by stop
        self._process, self._life_line = self._start()

    @property
    def address(self) -> str:
        """Of its gRPC port."""
        return f"127.0.0.1:{self._port}"

    def ensure_running(self) -> None:
        """Start it again if it has ended.

        Raises:
            BulkError: it does not start.
        """
        with self._lock:
            if self._process.poll() is not None:
                os.close(self._life_line)
                self._process, self._life_line = self._start()

    def stop(self) -> None:
        """Stop it, and wait for that."""
        with self._lock:
            self._process.terminate()
            try:
                self._process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            os.close(self._life_line)
            self._log.close()

    def _start(self) -> tuple[subprocess.Popen[str], int]:
        # The launcher gets SIGTERM when this process is gone: nobody else has the other end of the pipe.
        read_end, life_line = os.pipe()
        command = [
            *(sys.executable, "-I", "-S", str(_PARENT_DEATH), str(read_end), str(int(signal.SIGTERM))),
            *(sys.executable, "-m", "server", "run", f"--model-repository={self._repository}"),
            *(f"--environment={self._environment}", f"--grpc-port={self._port}"),
        ]
        process = subprocess.Popen(  # noqa: S603 - our own command
            command,
            cwd=_ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._log,
            pass_fds=(read_end,),
            start_new_session=True,
            text=True,
        )
        os.close(read_end)
        assert process.stdout is not None  # noqa: S101 - Popen was asked for a pipe
        if not any(_READY in line for line in process.stdout):
            process.wait()
            os.close(life_line)
            raise BulkError(f"no Triton could be started here: {_last_error(self._log)}")
        return process, life_line


def _last_error(log: IO[bytes]) -> str:
    log.seek(0)
    lines = log.read().decode(errors="replace").splitlines()
    errors = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
    return (errors or lines or ["it ended without a word"])[-1]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port

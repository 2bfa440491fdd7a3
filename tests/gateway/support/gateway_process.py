"""A real `python -m gateway` for tests: started, watched and cleared away."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).resolve().parents[3]
_LISTENING = re.compile(r"listening on (http://[^\s\"]+)")
_TEXT_OF_A_CLIENT = re.compile("[А-Яа-яЁё]|\\\\u04")
SECRET = "a-secret-that-nobody-may-read"  # noqa: S105


@dataclass
class GatewayProcess:
    process: subprocess.Popen[bytes]
    log_path: Path
    url: str = ""

    def log(self) -> str:
        return self.log_path.read_text(errors="replace")

    def lines(self) -> list[dict[str, Any]]:
        """Its log; every line is JSON."""
        return [json.loads(line) for line in self.log().splitlines()]

    def client(self, **options: Any) -> httpx.Client:
        return httpx.Client(base_url=self.url, trust_env=False, **{"timeout": 30.0, **options})

    def async_client(self) -> httpx.AsyncClient:
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
        return httpx.AsyncClient(base_url=self.url, trust_env=False, timeout=30.0, limits=limits)

    def readiness(self) -> int:
        with self.client() as client:
            return client.get("/health/ready").status_code

    def wait_until_ready(self, seconds: float = 60.0, *, status: int = 200) -> float:
        """Wait for a readiness status; gives the seconds it took."""
        start = time.monotonic()
        while (found := self.readiness()) != status:
            waited = time.monotonic() - start
            assert waited < seconds, f"readiness is {found}, not {status}:\n{self.log()}"
            time.sleep(0.05)
        return time.monotonic() - start


def environment(**variables: str) -> dict[str, str]:
    """The test's own environment without the gateway's variables, and these added."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("EMOTION_")}
    return {**inherited, **variables}


def assert_tells_nothing(log: str) -> None:
    """No text and no key of a client is in a log. Tests send Cyrillic; our own words are English."""
    assert SECRET not in log
    assert not _TEXT_OF_A_CLIENT.search(log), log


def assert_harmless(gateway: GatewayProcess) -> None:
    log = gateway.log()
    assert "Traceback" not in log, log
    assert_tells_nothing(log)
    if "--log-format=text" not in gateway.process.args:
        assert all(line["level"] in ("info", "warning", "error") for line in gateway.lines())


@contextlib.contextmanager
def running_gateway(
    repository: Path, triton: str, *flags: str, program: Sequence[str] = ("-m", "gateway"), **variables: str
) -> Iterator[GatewayProcess]:
    """A gateway that listens on a free port; stopped with SIGTERM, which must give 0.

    `program` is what Python runs.

    Whatever a test does to it, its log is JSON throughout, and holds no text, no key and no traceback.
    """
    descriptor, log_path = tempfile.mkstemp(prefix="test-gateway-", suffix=".log")
    command = [
        *(sys.executable, *program, "--port=0"),
        f"--model-repository={repository}",
        f"--triton-address={triton}",
        *flags,
    ]
    with os.fdopen(descriptor, "wb") as log:
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment(**variables), stdout=log, stderr=subprocess.STDOUT
        )
    gateway = GatewayProcess(process, Path(log_path))
    try:
        deadline = time.monotonic() + 60
        while not (match := _LISTENING.search(gateway.log())):
            assert process.poll() is None, f"did not start:\n{gateway.log()}"
            assert time.monotonic() < deadline, f"does not listen:\n{gateway.log()}"
            time.sleep(0.02)
        gateway.url = match[1]
        yield gateway
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0, f"stopped with {process.returncode}:\n{gateway.log()}"
        assert_harmless(gateway)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        gateway.log_path.unlink(missing_ok=True)
